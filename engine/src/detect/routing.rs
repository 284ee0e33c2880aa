//! Which rules are about an event, by log source.

use citywatch_parsers::LogSource;
use citywatch_rules::Rule;

use super::keys::hash_bytes;

/// How a rule's log source is compared with an event's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogSourceMode {
    /// One of the event's log sources equals the rule's on every dimension that the rule names.
    #[default]
    Strict,
    /// A rule applies unless a dimension is set on both sides and differs. An event without log
    /// source gets all rules.
    Loose,
}

impl LogSourceMode {
    /// Whether a rule about `rule` applies to an event with these log sources.
    pub fn applies(self, rule: &LogSource<'_>, event: &[LogSource<'_>]) -> bool {
        let fits = |rule: &str, event: &str| {
            rule.is_empty()
                || rule.eq_ignore_ascii_case(event)
                || (self == Self::Loose && event.is_empty())
        };
        let unnamed = LogSource::default();
        let sources = if event.is_empty() {
            std::slice::from_ref(&unnamed)
        } else {
            event
        };
        sources.iter().any(|event| {
            fits(&rule.product, &event.product)
                && fits(&rule.category, &event.category)
                && fits(&rule.service, &event.service)
        })
    }
}

/// A set of rules, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleBits(pub(super) Box<[u64]>);

impl RuleBits {
    /// An empty set with room for so many rules.
    pub(super) fn empty(rules: usize) -> Self {
        Self(vec![0; rules.div_ceil(64)].into())
    }

    /// Adds a rule.
    #[inline]
    pub(super) fn insert(&mut self, rule: u32) {
        self.0[rule as usize / 64] |= 1 << (rule % 64);
    }

    /// Whether a rule is in it.
    pub(super) fn contains(&self, rule: u32) -> bool {
        self.0[rule as usize / 64] >> (rule % 64) & 1 == 1
    }
}

/// The rules that an event makes candidates, taken out again in their order. Only words with rules in them are looked at.
#[derive(Debug)]
pub(super) struct Candidates {
    words: Box<[u64]>,
    /// By word whether there is a rule in it.
    touched: Box<[u64]>,
}

impl Candidates {
    /// An empty set with room for so many rules.
    pub(super) fn empty(rules: usize) -> Self {
        let words = rules.div_ceil(64);
        Self {
            words: vec![0; words].into(),
            touched: vec![0; words.div_ceil(64)].into(),
        }
    }

    /// Adds a rule.
    #[inline]
    pub(super) fn insert(&mut self, rule: u32) {
        let word = rule as usize / 64;
        self.words[word] |= 1 << (rule % 64);
        self.touched[word / 64] |= 1 << (word % 64);
    }

    /// Takes out the next 64 rules of which there are any: the word's number, and a bit for each.
    #[inline]
    pub(super) fn take_word(&mut self) -> Option<(usize, u64)> {
        let group = self.touched.iter().position(|&words| words != 0)?;
        let words = &mut self.touched[group];
        let word = group * 64 + words.trailing_zeros() as usize;
        *words &= *words - 1;
        Some((word, std::mem::take(&mut self.words[word])))
    }
}

/// The rules by log source.
#[derive(Debug)]
pub(super) struct Routing {
    mode: LogSourceMode,
    rules: usize,
    groups: Vec<(LogSource<'static>, Vec<u32>)>,
}

impl Routing {
    /// Groups the rules.
    pub(super) fn new<'r>(
        rules: impl ExactSizeIterator<Item = &'r Rule>,
        mode: LogSourceMode,
    ) -> Self {
        let mut routing = Self {
            mode,
            rules: rules.len(),
            groups: Vec::new(),
        };
        for (index, rule) in rules.enumerate() {
            let index = super::keys::index_u32(index);
            match routing
                .groups
                .iter_mut()
                .find(|group| group.0 == rule.log_source)
            {
                Some(group) => group.1.push(index),
                None => routing.groups.push((rule.log_source.clone(), vec![index])),
            }
        }
        routing
    }

    /// The rules for events with these log sources.
    pub(super) fn rules(&self, event: &[LogSource<'_>]) -> RuleBits {
        let mut set = RuleBits::empty(self.rules);
        for (_, rules) in self
            .groups
            .iter()
            .filter(|group| self.mode.applies(&group.0, event))
        {
            rules.iter().for_each(|&rule| set.insert(rule));
        }
        set
    }
}

/// Names come from records: which of them share a hash is not known beforehand in detail.
const SEED: u64 = 0x8b72_e7a6_94d1_0c5f;

/// A hash of an event's log sources.
#[inline]
pub(super) fn hash_sources(sources: &[LogSource<'_>]) -> u64 {
    sources.iter().fold(sources.len() as u64, |hash, source| {
        [&source.product, &source.category, &source.service]
            .into_iter()
            .fold(hash, |hash, part| {
                hash.rotate_left(21).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    ^ hash_bytes(part.as_bytes(), SEED)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> LogSource<'static> {
        let mut parts = text.split('/').map(|part| part.to_owned().into());
        let mut next = || parts.next().unwrap_or_default();
        LogSource {
            product: next(),
            category: next(),
            service: next(),
        }
    }

    #[test]
    fn candidates_come_out_once_and_in_order() {
        let mut candidates = Candidates::empty(10_000);
        for rules in [[9_999, 0, 63, 64, 4_096, 4_160, 64], [5; 7]] {
            rules.iter().for_each(|&rule| candidates.insert(rule));
            let mut taken = Vec::new();
            while let Some((word, bits)) = candidates.take_word() {
                taken.extend(
                    (0..64u32)
                        .filter(|bit| bits >> bit & 1 == 1)
                        .map(|bit| u32::try_from(word).unwrap() * 64 + bit),
                );
            }
            let mut expected = rules.to_vec();
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(taken, expected);
        }
    }

    #[test]
    fn strict_wants_what_the_rule_names_and_loose_forbids_contradictions() {
        // rule, events, strict, loose
        let cases: [(&str, &[&str], bool, bool); 8] = [
            (
                "windows/process_creation/",
                &["windows/process_creation/sysmon"],
                true,
                true,
            ),
            (
                "windows/process_creation/",
                &["windows//security"],
                false,
                true,
            ),
            (
                "windows//security",
                &["windows/process_creation/", "windows//security"],
                true,
                true,
            ),
            ("linux//", &["windows//"], false, false),
            ("linux//", &[], false, true),
            ("//", &[], true, true),
            ("//", &["windows//"], true, true),
            (
                "windows/registry_set/",
                &["windows/registry_event/"],
                false,
                false,
            ),
        ];
        for (rule, events, strict, loose) in cases {
            let events: Vec<LogSource<'_>> = events.iter().map(|event| source(event)).collect();
            assert_eq!(
                LogSourceMode::Strict.applies(&source(rule), &events),
                strict,
                "{rule} {events:?}"
            );
            assert_eq!(
                LogSourceMode::Loose.applies(&source(rule), &events),
                loose,
                "{rule} {events:?}"
            );
        }
    }
}
