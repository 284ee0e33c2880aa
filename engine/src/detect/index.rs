//! The witnesses of all rules, arranged so that the few that an event holds are found quickly.

use citywatch_parsers::Value;
use citywatch_rules::rule::{Number, Test};

use super::anchors::{self, Anchor};
use super::codes::Codes;
use super::ends::EndIndex;
use super::gram_frequencies::GramFrequencies;
use super::grams::{GramIndex, Needle};
use super::keys::KeyTable;
use super::level::Level;
use super::literals::Literals;
use super::predicate::{Predicate, PredicateId, Subject, number_of};
use super::tree::NumberKey;

/// The witnesses of one field, or those of keywords.
#[derive(Debug)]
pub(super) struct SubjectIndex {
    ends: EndIndex<PredicateId>,
    grams: GramIndex<PredicateId>,
    /// What need not be searched in `grams`.
    codes: Codes,
    /// What `grams` was made of.
    needles: Box<[Needle<PredicateId>]>,
    numbers: KeyTable<(Number, PredicateId)>,
    reads_digits: bool,
    reads_bools: bool,
    /// Found whenever there is a value.
    pub(super) present: Vec<PredicateId>,
}

impl SubjectIndex {
    /// Whether it may find something in the text of a value that is neither text nor list.
    #[inline]
    pub(super) fn reads_plain(&self, value: Value<'_>) -> bool {
        match value {
            Value::Int(_) | Value::UInt(_) | Value::Float(_) => self.reads_digits,
            Value::Bool(_) => self.reads_bools,
            Value::Null => false,
            Value::Str(_) | Value::List(_) => true,
        }
    }

    /// The texts that are looked for anywhere.
    pub(super) fn needles(&self) -> &[Needle<PredicateId>] {
        &self.needles
    }

    /// Reports the witnesses in a text, which is ASCII or folded, but those that may stand anywhere;
    /// `raw` is the same unfolded.
    #[inline]
    pub(super) fn scan_ends(
        &self,
        folded: &str,
        raw: &str,
        literals: &Literals,
        report: &mut impl FnMut(PredicateId),
    ) {
        self.ends.scan(folded.as_bytes(), literals, report);
        if !self.numbers.is_empty() && raw.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            self.scan_number(Number::parse(raw), report);
        }
    }

    /// Reports the witnesses that may stand anywhere in a text. The bytes are ASCII or folded.
    #[inline]
    pub(super) fn scan_anywhere(
        &self,
        bytes: &[u8],
        literals: &Literals,
        report: &mut impl FnMut(PredicateId),
    ) {
        if !self.codes.lack_all(bytes) {
            self.grams.scan(bytes, literals, &mut |id, _| report(id));
        }
    }

    /// Reports the witnesses in a value that is not text, its text aside.
    #[inline]
    pub(super) fn scan_plain(&self, value: Value<'_>, report: &mut impl FnMut(PredicateId)) {
        if !self.numbers.is_empty() {
            self.scan_number(number_of(value), report);
        }
    }

    fn scan_number(&self, number: Option<Number>, report: &mut impl FnMut(PredicateId)) {
        let Some(number) = number else { return };
        for (wanted, predicate) in self.numbers.get(NumberKey::of(number).hash()) {
            if *wanted == number {
                report(*predicate);
            }
        }
    }
}

/// Collects the witnesses of one subject.
#[derive(Debug, Default)]
pub(super) struct IndexBuilder {
    ends: Vec<(super::ends::Place, super::literals::Literal, PredicateId)>,
    needles: Vec<Needle<PredicateId>>,
    numbers: Vec<(u64, (Number, PredicateId))>,
    present: Vec<PredicateId>,
}

impl IndexBuilder {
    /// Adds a witness and notes at the predicate what it means to be found.
    pub(super) fn add(
        &mut self,
        id: PredicateId,
        predicate: &mut Predicate,
        test: &Test,
        literals: &mut Literals,
    ) {
        let (anchors, indexed) = anchors::of(predicate, test);
        predicate.indexed = indexed;
        for anchor in anchors {
            match anchor {
                Anchor::End(place, text) => self.ends.push((place, literals.add(&text), id)),
                Anchor::Contains(text) => self.needles.push(Needle {
                    literal: literals.add(&text),
                    payload: id,
                }),
                Anchor::Number(number) => self
                    .numbers
                    .push((NumberKey::of(number).hash(), (number, id))),
                Anchor::Present => self.present.push(id),
            }
        }
    }

    /// Whether no witness was added.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
            && self.needles.is_empty()
            && self.numbers.is_empty()
            && self.present.is_empty()
    }

    /// Ready for use.
    pub(super) fn build(self, literals: &Literals, frequencies: &GramFrequencies) -> SubjectIndex {
        // Numbers are written without exponent; one that is none, or has no end, is `NaN` or `inf`.
        let within = |whole: &[u8], text: &[u8]| memchr::memmem::find(whole, text).is_some();
        let digits = |text: &[u8]| {
            text.iter().all(|byte| b"0123456789-.".contains(byte))
                || within(b"nan", text)
                || within(b"-inf", text)
        };
        let bools = |text: &[u8]| within(b"true", text) || within(b"false", text);
        let texts = self.ends.iter().map(|end| end.1);
        let texts = texts.chain(self.needles.iter().map(|needle| needle.literal));
        let texts: Vec<&[u8]> = texts.map(|literal| literals.get(literal)).collect();
        let needles = self
            .needles
            .iter()
            .map(|needle| literals.get(needle.literal));
        SubjectIndex {
            codes: Codes::new(needles, Level::best()),
            reads_digits: texts.iter().any(|text| digits(text)),
            reads_bools: texts.iter().any(|text| bools(text)),
            ends: EndIndex::new(self.ends, literals),
            grams: GramIndex::new(&self.needles, literals, frequencies),
            needles: self.needles.into(),
            numbers: KeyTable::new(self.numbers),
            present: self.present,
        }
    }
}

/// The place of a subject's index among those of all fields, keywords last.
pub(super) fn slot(subject: Subject, fields: usize) -> usize {
    match subject {
        Subject::Field(field) => field.0 as usize,
        Subject::Keyword => fields,
    }
}
