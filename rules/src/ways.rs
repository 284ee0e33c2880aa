//! In which ways a correlation's condition in words can hold: which rules must be picked, and which must
//! not have matched.
//!
//! With an ordered correlation the rules that make a condition true must match in their order. Trying each
//! subset of the rules for each window would cost 65,536 tries for 16 rules; the ways are found once, when the
//! rule is read, and each is then one walk through the matches of its rules.

use crate::correlation::RuleExpr;

/// Ways that a condition may have. Sixteen names that are each written once have at most 324.
const WAYS_MAX: usize = 512;
/// Comparisons of ways while they are found.
const STEPS_MAX: usize = 4_000_000;

/// One way for a condition to hold. Bit n means the rule at index n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Rules that make it true: all of them are picked, in their order.
    pub picked: u32,
    /// Rules that must not have matched at all.
    pub absent: u32,
}

/// The ways of a condition, none of which contains another: it holds when one of them does. `None` where they
/// are too many, or a rule's index is beyond 31.
pub fn ways(condition: &RuleExpr) -> Option<Vec<Way>> {
    Finder { steps: 0 }.ways(condition, Sense::Holds)
}

/// Whether a part must hold or fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sense {
    Holds,
    Fails,
}

struct Finder {
    steps: usize,
}

impl Finder {
    fn ways(&mut self, part: &RuleExpr, sense: Sense) -> Option<Vec<Way>> {
        match (part, sense) {
            (RuleExpr::Rule(rule), _) => {
                let bit = 1u32.checked_shl(u32::try_from(*rule).ok()?)?;
                let (picked, absent) = match sense {
                    Sense::Holds => (bit, 0),
                    Sense::Fails => (0, bit),
                };
                Some(vec![Way { picked, absent }])
            }
            (RuleExpr::Not(part), Sense::Holds) => self.ways(part, Sense::Fails),
            (RuleExpr::Not(part), Sense::Fails) => self.ways(part, Sense::Holds),
            (RuleExpr::Or(parts), Sense::Holds) | (RuleExpr::And(parts), Sense::Fails) => {
                let mut all = Vec::new();
                for part in parts {
                    for way in self.ways(part, sense)? {
                        self.add(&mut all, way)?;
                    }
                }
                Some(all)
            }
            (RuleExpr::And(parts), Sense::Holds) | (RuleExpr::Or(parts), Sense::Fails) => {
                let mut all = vec![Way {
                    picked: 0,
                    absent: 0,
                }];
                for part in parts {
                    let others = self.ways(part, sense)?;
                    let mut both = Vec::new();
                    for one in &all {
                        for other in &others {
                            let way = Way {
                                picked: one.picked | other.picked,
                                absent: one.absent | other.absent,
                            };
                            self.add(&mut both, way)?;
                        }
                    }
                    all = both;
                }
                Some(all)
            }
        }
    }

    /// Adds a way, unless it can never hold or another holds whenever it does.
    fn add(&mut self, all: &mut Vec<Way>, way: Way) -> Option<()> {
        self.steps += all.len() + 1;
        if self.steps > STEPS_MAX {
            return None;
        }
        let is_impossible = way.picked & way.absent != 0;
        if is_impossible || all.iter().any(|known| known.is_within(way)) {
            return Some(());
        }
        all.retain(|known| !way.is_within(*known));
        all.push(way);
        (all.len() <= WAYS_MAX).then_some(())
    }
}

impl Way {
    /// Whether it asks for nothing that the other does not ask for.
    fn is_within(self, other: Self) -> bool {
        self.picked & !other.picked == 0 && self.absent & !other.absent == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RuleExpr::{And, Not, Or, Rule};

    #[test]
    fn ways_are_the_least_sets_of_rules() {
        let way = |picked, absent| Way { picked, absent };
        let holds = |condition: &RuleExpr| ways(condition).unwrap_or_default();
        assert_eq!(holds(&Rule(3)), [way(8, 0)]);
        assert_eq!(
            holds(&And(vec![Rule(0), Or(vec![Rule(1), Rule(2)])])),
            [way(3, 0), way(5, 0)]
        );
        let of_itself = Or(vec![Rule(0), And(vec![Rule(0), Rule(1)])]);
        assert_eq!(holds(&of_itself), [way(1, 0)]);
        let not = And(vec![Rule(0), Not(Box::new(Rule(1)))]);
        assert_eq!(holds(&not), [way(1, 2)]);
        assert_eq!(holds(&Not(Box::new(Not(Box::new(Rule(1)))))), [way(2, 0)]);
        assert_eq!(holds(&And(vec![Rule(0), Not(Box::new(Rule(0)))])), []);
        assert_eq!(ways(&Rule(32)), None);
    }

    #[test]
    fn sixteen_rules_have_few_ways_where_each_is_written_once() {
        let names: Vec<RuleExpr> = (0..16).map(Rule).collect();
        let threes = names.chunks(3).map(|three| Or(three.to_vec()));
        assert_eq!(
            ways(&And(threes.collect())).map(|ways| ways.len()),
            Some(243)
        );
        assert_eq!(ways(&Or(names)).map(|ways| ways.len()), Some(16));
    }

    #[test]
    fn too_many_ways_are_told_at_once() {
        // Eight of sixteen, written out as all pairs of halves: more ways than anyone means.
        let either = |left: usize, right: usize| Or(vec![Rule(left), Rule(right)]);
        let pairs = (0..16).flat_map(|left| (left + 1..16).map(move |right| (left, right)));
        let odd = pairs.filter(|(left, right)| (left * 7 + right * 3) % 4 == 1);
        let condition = And(odd.map(|(left, right)| either(left, right)).collect());
        let many = Or(vec![
            condition,
            And((0..5)
                .map(|shift| Or((0..16).filter(|rule| rule % 5 != shift).map(Rule).collect()))
                .collect()),
        ]);
        let begin = std::time::Instant::now();
        let found = ways(&many);
        assert!(found.is_none_or(|ways| ways.len() <= WAYS_MAX));
        assert!(begin.elapsed() < std::time::Duration::from_secs(20));
    }
}
