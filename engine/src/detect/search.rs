//! Finds an event's fields and the witnesses in their values.

use citywatch_parsers::Value;

use super::compile::Compiled;
use super::denials::Denied;
use super::index::SubjectIndex;
use super::matcher::Plan;
use super::memo::{Finding, MemoKey, Remembered, VALUE_BYTES_MAX, ValueMemo};
use super::merged::{LONG_BYTES_MIN, MergedIndexes};
use super::names::FieldIndex;
use super::payoff::LookUp;
use super::predicate::{PredicateId, write_value};
use super::steps::{Step, StepCache, Steps};
use super::values::{BETWEEN, Memory, Place};
use super::view::{View, is_piece};

/// Searches events, and remembers from event to event what names lead to and what values hold.
#[derive(Debug)]
pub(super) struct Searcher {
    steps: StepCache,
    values: ValueSearcher,
}

/// Searches values.
#[derive(Debug)]
struct ValueSearcher {
    memo: ValueMemo,
    merged: MergedIndexes,
    /// What the search of one value finds.
    findings: Vec<Finding>,
    number: String,
    together: Together,
}

/// Short values that are searched for keywords together, when all fields were seen: a search of a few bytes costs
/// nearly as much as one of sixty.
#[derive(Debug, Default)]
struct Together {
    /// The values, folded, each with [`BETWEEN`] behind it.
    bytes: Vec<u8>,
}

/// Bytes after which those gathered are searched.
const TOGETHER_BYTES_MAX: usize = 4 << 10;

/// When a value is searched for keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keywords {
    /// With its field's own predicates.
    Now,
    /// It may wait.
    Later,
}

impl Together {
    /// Whether a value is a text that may wait and need not be folded.
    #[inline]
    fn takes(&self, value: Value<'_>) -> bool {
        matches!(value, Value::Str(text) if text.len() < LONG_BYTES_MIN
            && self.bytes.len() + text.len() < TOGETHER_BYTES_MAX
            && text.is_ascii())
    }

    #[inline]
    fn add(&mut self, folded: &[u8]) {
        self.bytes.extend_from_slice(folded);
        self.bytes.push(BETWEEN);
    }
}

/// Which indexes one value is searched in.
#[derive(Clone, Copy)]
struct Scope<'c> {
    compiled: &'c Compiled,
    plan: &'c Plan,
    /// The field, if its own index is searched.
    own: Option<FieldIndex>,
    keywords: Option<&'c SubjectIndex>,
    position: usize,
}

impl Searcher {
    /// Remembers nothing yet.
    pub(super) fn new() -> Self {
        Self {
            steps: StepCache::new(),
            values: ValueSearcher {
                memo: ValueMemo::new(),
                merged: MergedIndexes::default(),
                findings: Vec::new(),
                number: String::new(),
                together: Together::default(),
            },
        }
    }

    /// Forgets what depends on plans.
    pub(super) fn forget(&mut self) {
        self.steps.forget();
        self.values.memo.forget();
        self.values.merged.clear();
    }

    /// Searches the event's fields for witnesses, and returns what is known of the fields that are there.
    pub(super) fn search(&mut self, view: &mut View<'_, '_>, plan: &Plan) -> &Steps {
        let compiled = view.compiled;
        let keywords = compiled.indexes.last().and_then(Option::as_ref);
        let keywords = keywords.filter(|_| plan.searches_keywords());
        // Most values of a text are pieces of it: what they hold is found in that.
        let mut text = &[][..];
        let steps = self.steps.of(compiled, plan, view.event);
        if let Some(index) = keywords {
            let raw = view.event.record.raw;
            if !view.event.record.is_document() {
                text = raw;
                search_raw(view, index);
            } else if steps.whole.worthwhile(raw.len()) && lacks_keywords(view, index) {
                text = raw;
            }
        }
        let fields = view.event.fields.iter().zip(&mut steps.steps);
        for (position, (field, step)) in fields.enumerate() {
            if !step.searches {
                continue;
            }
            let keywords = keywords.filter(|_| !is_piece(field.value, text));
            if !step.searches_own() && keywords_ignore(keywords, field.value) {
                continue;
            }
            // Most values are texts, and often the same as the last time.
            if let Value::Str(text) = field.value {
                let together = &mut self.values.together;
                if step.payoff.pauses() && !step.searches_own() && together.takes(field.value) {
                    step.payoff.worthwhile();
                    together.add(text.as_bytes());
                    continue;
                }
                let key = step.text_key(keywords.is_some());
                let memo = &self.values.memo;
                if memo.is(step.last, key, text.as_bytes()) {
                    step.payoff.count(LookUp::Hit);
                    view.memory.note(memo.findings(step.last));
                    view.memory.denied |= memo.denied(step.last) & step.denies;
                    continue;
                }
            }
            let scope = Scope {
                compiled,
                plan,
                own: step.own(),
                keywords,
                position,
            };
            self.values
                .search_field(view.memory, step, &scope, field.value);
        }
        if let Some(index) = keywords {
            let searched = self.values.together.bytes.len();
            steps.whole.learn(searched, view.event.record.raw.len());
            self.values.search_together(view.memory, compiled, index);
            view.memory.find_all(&index.present);
        }
        steps
    }
}

impl ValueSearcher {
    #[inline(never)]
    fn search_field(
        &mut self,
        memory: &mut Memory,
        step: &mut Step,
        scope: &Scope<'_>,
        value: Value<'_>,
    ) {
        if let Value::Str(text) = value {
            let key = scope.text_key();
            let known = self.look_up(memory, step, scope, key, text.as_bytes(), value);
            if let Some(known) = known {
                memory.denied |= self.memo.denied(known) & step.denies;
            }
            return;
        }
        if let Value::Null | Value::List(_) = value
            && let Some(index) = scope.own_index()
        {
            memory.find_all(&index.present);
        }
        self.search_value(memory, step, scope, value);
    }

    fn search_value(
        &mut self,
        memory: &mut Memory,
        step: &mut Step,
        scope: &Scope<'_>,
        value: Value<'_>,
    ) {
        match value {
            Value::Null => {}
            Value::Str(text) => {
                let key = scope.text_key();
                self.look_up(memory, step, scope, key, text.as_bytes(), value);
            }
            _ if scope.ignores(value) => {}
            Value::Int(number) => {
                let (key, bytes) = (scope.text_key().of_number(), number.to_le_bytes());
                if self.memo.is(step.last, key, &bytes) {
                    step.payoff.count(LookUp::Hit);
                    return memory.note(self.memo.findings(step.last));
                }
                self.look_up(memory, step, scope, key, &bytes, value);
            }
            Value::List(values) => {
                for &value in values {
                    self.search_value(memory, step, scope, value);
                }
            }
            Value::Bool(_) | Value::UInt(_) | Value::Float(_) => {
                self.findings.clear();
                self.scan(memory, scope, value, Keywords::Later);
                memory.note(&self.findings);
            }
        }
    }

    /// Notes what a value holds that is not the last one: from memory, which is returned, or by searching it. `bytes`
    /// stand for the value.
    fn look_up(
        &mut self,
        memory: &mut Memory,
        step: &mut Step,
        scope: &Scope<'_>,
        key: MemoKey,
        bytes: &[u8],
        value: Value<'_>,
    ) -> Option<Remembered> {
        let vacancy = if bytes.len() > VALUE_BYTES_MAX || !step.payoff.worthwhile() {
            None
        } else {
            match self.memo.look_up(key, bytes) {
                Ok(found) => {
                    step.payoff.count(LookUp::Hit);
                    step.last = found;
                    memory.note(self.memo.findings(found));
                    return Some(found);
                }
                Err(vacancy) => {
                    step.payoff.count(LookUp::Miss);
                    Some(vacancy)
                }
            }
        };
        if vacancy.is_none() && scope.own.is_none() && self.together.takes(value) {
            self.together.add(bytes);
            return None;
        }
        // What is remembered must be known now.
        let when = if vacancy.is_some() {
            Keywords::Now
        } else {
            Keywords::Later
        };
        self.findings.clear();
        self.scan(memory, scope, value, when);
        memory.note(&self.findings);
        if let Some(vacancy) = vacancy {
            let denied = denied_by(memory, step, scope, value);
            let findings = &mut self.findings;
            self.memo.remember(vacancy, key, bytes, findings, denied);
        }
        None
    }

    /// Searches a value that is neither null nor a list.
    fn scan(&mut self, memory: &mut Memory, scope: &Scope<'_>, value: Value<'_>, when: Keywords) {
        let compiled = scope.compiled;
        let own = scope.own_index();
        let findings = &mut self.findings;
        let mut report = |id: PredicateId| findings.push(compiled.finding(id));
        if let Some(own) = own {
            own.present.iter().for_each(|&id| report(id));
            own.scan_plain(value, &mut report);
        }
        // The number in a text counts; that of a number was looked up already.
        let (raw, numeric) = match value {
            Value::Str(text) => (text, text),
            _ if scope.ignores_text_of(value) => return,
            _ => {
                write_value(value, &mut self.number);
                (self.number.as_str(), "")
            }
        };
        let place = memory.place(&compiled.folder, value);
        if let Some(own) = scope.own {
            memory.set_place(own, scope.position, place);
        }
        let folded = memory.text(raw, place).folded;
        if let Some(own) = own {
            own.scan_ends(folded, numeric, &compiled.literals, &mut report);
        }
        let merged = if folded.len() < LONG_BYTES_MIN {
            None
        } else {
            self.merged.get(compiled, scope.plan, scope.own)
        };
        let (bytes, literals) = (folded.as_bytes(), &compiled.literals);
        match merged {
            Some(merged) => merged.scan(bytes, literals, &mut |id, _| report(id)),
            None => {
                if let Some(own) = own {
                    own.scan_anywhere(bytes, literals, &mut report);
                }
                let Some(keywords) = scope.keywords else {
                    return;
                };
                let together = &mut self.together;
                if when == Keywords::Later
                    && together.bytes.len() + bytes.len() < TOGETHER_BYTES_MAX
                {
                    return together.add(bytes);
                }
                keywords.scan_anywhere(bytes, literals, &mut report);
            }
        }
    }

    /// Searches what was gathered for keywords.
    fn search_together(&mut self, memory: &mut Memory, compiled: &Compiled, index: &SubjectIndex) {
        let bytes = &mut self.together.bytes;
        if bytes.is_empty() {
            return;
        }
        index.scan_anywhere(bytes, &compiled.literals, &mut |id| {
            memory.note(&[compiled.finding(id)]);
        });
        bytes.clear();
    }
}

/// The rules that a value of the step's field rules out.
fn denied_by(memory: &mut Memory, step: &Step, scope: &Scope<'_>, value: Value<'_>) -> Denied {
    match (value, scope.own) {
        (Value::Str(raw), Some(own)) if step.denies != 0 => {
            let compiled = scope.compiled;
            let place = memory.place(&compiled.folder, value);
            let text = memory.text(raw, place);
            compiled.denials.of_text(compiled, own, text)
        }
        _ => 0,
    }
}

impl<'c> Scope<'c> {
    fn own_index(&self) -> Option<&'c SubjectIndex> {
        self.own
            .and_then(|own| self.compiled.indexes[own.0 as usize].as_ref())
    }

    /// What the findings in a text depend on besides its bytes: the indexes that are searched.
    #[inline]
    fn text_key(&self) -> MemoKey {
        MemoKey::of_text(self.plan.number, self.own).with_keywords(self.keywords.is_some())
    }

    /// Whether a value cannot hold a witness.
    #[inline]
    fn ignores(&self, value: Value<'_>) -> bool {
        self.own.is_none() && keywords_ignore(self.keywords, value)
    }

    fn ignores_text_of(&self, value: Value<'_>) -> bool {
        self.own_index().is_none_or(|own| !own.reads_plain(value))
            && keywords_ignore(self.keywords, value)
    }
}

/// Whether no keyword can be in a value.
#[inline]
fn keywords_ignore(keywords: Option<&SubjectIndex>, value: Value<'_>) -> bool {
    keywords.is_none_or(|index| !index.reads_plain(value))
}

/// Whether a document lacks all keywords, so that values that stand in it as they are need no search. It has names and
/// punctuation besides: where something is found, nothing is known.
fn lacks_keywords(view: &View<'_, '_>, index: &SubjectIndex) -> bool {
    let raw = view.event.record.raw;
    if !raw.is_ascii() {
        return false;
    }
    let mut lacks = true;
    index.scan_anywhere(raw, &view.compiled.literals, &mut |_| lacks = false);
    lacks
}

/// Searches the raw record for keywords.
fn search_raw(view: &mut View<'_, '_>, index: &SubjectIndex) {
    let raw = view.event.record.raw;
    if raw.is_ascii() {
        view.memory.scan_raw(index, view.compiled, raw);
    } else {
        view.load_raw();
        match &view.raw {
            Some((_, Place::Folded { start, end })) => {
                view.memory
                    .scan_folded_raw(index, view.compiled, *start, *end)
            }
            Some((raw, Place::Same)) => view.memory.scan_raw(index, view.compiled, raw.as_bytes()),
            None => {}
        }
    }
}
