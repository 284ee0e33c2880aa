//! The fields of an event that outlives its batch.
//!
//! A snapshot is made for each match and let go by whoever held it last, often much later and elsewhere. Names
//! and values of their own would be thirty small allocations for an event of the usual size, each of which has to be
//! fetched from memory once more to be freed. All of them are therefore written into one text.

use std::borrow::Cow;
use std::fmt::Write;

use citywatch_parsers::Value;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

/// Bytes that a few short fields take.
const FEW_BYTES: usize = 96;

/// Names with values, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SnapshotFields {
    /// Names and values, one after the other.
    text: String,
    /// Events of which only what correlations read is kept have few.
    places: SmallVec<[Place; 4]>,
}

/// Where in the text a field is: its name from the end of the field before it on, then its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    name_end: u32,
    value_end: u32,
    kind: Kind,
}

/// What a value's text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Int,
    UInt,
    Float,
    Text,
    /// A list, or what else there is in JSON.
    Json,
}

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldValue<'s> {
    kind: Kind,
    text: &'s str,
}

impl SnapshotFields {
    /// A copy of the few of many fields that are wanted.
    pub fn of_few<'e>(fields: impl Iterator<Item = (&'e str, Value<'e>)>) -> Self {
        let mut all = Self::default();
        for (name, value) in fields {
            if all.is_empty() {
                all.text.reserve_exact(FEW_BYTES);
            }
            all.add(name, value);
        }
        all
    }

    /// A copy of these fields.
    pub fn of<'e>(fields: impl Iterator<Item = (&'e str, Value<'e>)> + Clone) -> Self {
        let mut all = Self::default();
        let bytes = fields.clone().map(|(name, value)| match value {
            Value::Str(text) => name.len() + text.len(),
            _ => name.len() + 20,
        });
        let (fields_count, bytes) = bytes.fold((0, 0), |(count, all), one| (count + 1, all + one));
        all.text.reserve_exact(bytes);
        all.places.reserve_exact(fields_count);
        for (name, value) in fields {
            all.add(name, value);
        }
        all
    }

    /// Adds a field.
    pub fn add(&mut self, name: &str, value: Value<'_>) {
        self.add_written(name, |text| match value {
            Value::Null => Kind::Null,
            Value::Str(value) => {
                text.push_str(value);
                Kind::Text
            }
            Value::Bool(value) => written(text, value, Kind::Bool),
            Value::Int(value) => written(text, value, Kind::Int),
            Value::UInt(value) => written(text, value, Kind::UInt),
            // JSON has no number for these.
            Value::Float(value) if !value.is_finite() => written(text, value, Kind::Text),
            Value::Float(value) => written(text, value, Kind::Float),
            Value::List(_) => written(text, crate::matches::json_of(value), Kind::Json),
        });
    }

    /// Adds a field of another snapshot.
    pub fn add_copy(&mut self, name: &str, value: FieldValue<'_>) {
        self.add_written(name, |text| {
            text.push_str(value.text);
            value.kind
        });
    }

    fn add_json(&mut self, name: &str, value: &serde_json::Value) {
        use serde_json::Value as Json;
        let number = |number: &serde_json::Number| {
            let int = number.as_i64().map(Value::Int);
            let int = int.or_else(|| number.as_u64().map(Value::UInt));
            int.or_else(|| number.as_f64().map(Value::Float))
        };
        match value {
            Json::Null => self.add(name, Value::Null),
            Json::Bool(value) => self.add(name, Value::Bool(*value)),
            Json::String(text) => self.add(name, Value::Str(text)),
            Json::Number(value) if let Some(value) = number(value) => self.add(name, value),
            Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                self.add_written(name, |text| written(text, value, Kind::Json));
            }
        }
    }

    fn add_written(&mut self, name: &str, write: impl FnOnce(&mut String) -> Kind) {
        let place = |text: &String| u32::try_from(text.len()).ok();
        let begin = self.text.len();
        self.text.push_str(name);
        let name_end = place(&self.text);
        let kind = write(&mut self.text);
        if let (Some(name_end), Some(value_end)) = (name_end, place(&self.text)) {
            self.places.push(Place {
                name_end,
                value_end,
                kind,
            });
        } else {
            // Beyond 4 GB, which no event is.
            self.text.truncate(begin);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            text: &self.text,
            begin: 0,
            places: self.places.iter(),
        }
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<FieldValue<'_>> {
        let bytes = self.text.as_bytes();
        let mut begin = 0;
        for place in &self.places {
            let (name_end, value_end) = (place.name_end as usize, place.value_end as usize);
            // The length tells most names apart.
            if name_end - begin == name.len() && bytes[begin..name_end] == *name.as_bytes() {
                let text = &self.text[name_end..value_end];
                let kind = place.kind;
                return Some(FieldValue { kind, text });
            }
            begin = value_end;
        }
        None
    }

    /// Bytes that it takes beside itself.
    pub fn bytes(&self) -> usize {
        let spilled = if self.places.spilled() {
            self.places.capacity() * size_of::<Place>()
        } else {
            0
        };
        self.text.capacity() + spilled
    }
}

fn written(text: &mut String, value: impl std::fmt::Display, kind: Kind) -> Kind {
    write!(text, "{value}").expect("a text takes whatever is written into it");
    kind
}

/// Fields of a snapshot.
#[derive(Clone, Debug)]
pub struct Iter<'s> {
    text: &'s str,
    begin: usize,
    places: std::slice::Iter<'s, Place>,
}

impl<'s> Iterator for Iter<'s> {
    type Item = (&'s str, FieldValue<'s>);

    fn next(&mut self) -> Option<Self::Item> {
        let place = self.places.next()?;
        let (name_end, value_end) = (place.name_end as usize, place.value_end as usize);
        let name = &self.text[self.begin..name_end];
        let text = &self.text[name_end..value_end];
        self.begin = value_end;
        let kind = place.kind;
        Some((name, FieldValue { kind, text }))
    }
}

impl<'s> IntoIterator for &'s SnapshotFields {
    type Item = (&'s str, FieldValue<'s>);
    type IntoIter = Iter<'s>;

    fn into_iter(self) -> Iter<'s> {
        self.iter()
    }
}

impl FromIterator<(String, serde_json::Value)> for SnapshotFields {
    fn from_iter<I: IntoIterator<Item = (String, serde_json::Value)>>(fields: I) -> Self {
        let mut all = Self::default();
        for (name, value) in fields {
            all.add_json(&name, &value);
        }
        all
    }
}

impl<'s> FieldValue<'s> {
    /// The value if it is a text.
    pub fn as_str(self) -> Option<&'s str> {
        (self.kind == Kind::Text).then_some(self.text)
    }

    /// The value as text, the same that the event's own value has; `None` for null.
    pub fn text(self) -> Option<Cow<'s, str>> {
        match self.kind {
            Kind::Null => None,
            Kind::Json => Some(Cow::Owned(json_text(&self.to_json()).unwrap_or_default())),
            _ => Some(Cow::Borrowed(self.text)),
        }
    }

    /// The value in JSON.
    pub fn to_json(self) -> serde_json::Value {
        let text = || serde_json::Value::from(self.text);
        match self.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool => (self.text == "true").into(),
            Kind::Int => self.text.parse::<i64>().map_or_else(|_| text(), Into::into),
            Kind::UInt => self.text.parse::<u64>().map_or_else(|_| text(), Into::into),
            Kind::Float => self.text.parse::<f64>().map_or_else(|_| text(), Into::into),
            Kind::Text => text(),
            Kind::Json => serde_json::from_str(self.text).unwrap_or_else(|_| text()),
        }
    }
}

/// The text of a JSON value; `None` for null.
fn json_text(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value as Json;
    Some(match value {
        Json::Null => return None,
        Json::String(text) => text.clone(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (None, None, Some(number)) => number.to_string(),
            _ => number.to_string(),
        },
        Json::Array(values) => {
            let texts = values
                .iter()
                .map(|value| json_text(value).unwrap_or_default());
            texts.collect::<Vec<String>>().join(",")
        }
        Json::Object(_) => value.to_string(),
    })
}

/// As a list of names with values, `[["user","root"],["pid",4711]]`.
impl Serialize for SnapshotFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.len()))?;
        for (name, value) in self {
            all.serialize_element(&(name, value.to_json()))?;
        }
        all.end()
    }
}

impl<'de> Deserialize<'de> for SnapshotFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Vec::<(String, serde_json::Value)>::deserialize(deserializer)?;
        Ok(fields.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_what_they_were_in_order_and_in_json() {
        let list = [Value::Str("a,\"b"), Value::Int(-3), Value::Null];
        let fields = [
            ("text", Value::Str("Đà Nẵng"), json!("Đà Nẵng")),
            ("", Value::Str(""), json!("")),
            ("null", Value::Null, json!(null)),
            ("yes", Value::Bool(true), json!(true)),
            ("no", Value::Bool(false), json!(false)),
            ("least", Value::Int(i64::MIN), json!(i64::MIN)),
            ("most", Value::UInt(u64::MAX), json!(u64::MAX)),
            ("whole", Value::Float(1.0), json!(1.0)),
            ("third", Value::Float(1.0 / 3.0), json!(1.0 / 3.0)),
            ("huge", Value::Float(f64::MAX), json!(f64::MAX)),
            ("tiny", Value::Float(5e-324), json!(5e-324)),
            ("endless", Value::Float(f64::INFINITY), json!("inf")),
            ("list", Value::List(&list), json!(["a,\"b", -3, null])),
            ("text", Value::Str("again"), json!("again")),
        ];
        let kept = SnapshotFields::of(fields.iter().map(|(name, value, _)| (*name, *value)));
        assert_eq!((kept.len(), kept.is_empty()), (fields.len(), false));
        for ((name, value), (expected_name, original, expected)) in kept.iter().zip(&fields) {
            assert_eq!((name, &value.to_json()), (*expected_name, expected));
            let text = (*original != Value::Null).then(|| original.to_string());
            assert_eq!(value.text().map(Cow::into_owned), text, "{name}");
        }
        assert_eq!(
            kept.get("text").and_then(FieldValue::as_str),
            Some("Đà Nẵng")
        );
        assert_eq!(kept.get("most").and_then(FieldValue::as_str), None);
        assert_eq!(kept.get("other"), None);
        let written = serde_json::to_value(&kept).unwrap();
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, _, json)| json!([name, json]))
            .collect();
        assert_eq!(written, json!(pairs));
        let read: SnapshotFields = serde_json::from_value(written).unwrap();
        assert_eq!(read, kept);
        let mut copied = SnapshotFields::default();
        for (name, value) in &kept {
            copied.add_copy(name, value);
        }
        assert_eq!(copied, kept);
    }

    #[test]
    fn few_fields_are_one_allocation() {
        let fields =
            SnapshotFields::of([("user", Value::Str("an")), ("pid", Value::Int(7))].into_iter());
        assert!(!fields.places.spilled());
        let whole: SnapshotFields = [("object".to_owned(), json!({"a": [1.5, null]}))]
            .into_iter()
            .collect();
        let (_, value) = whole.iter().next().unwrap();
        assert_eq!(value.to_json(), json!({"a": [1.5, null]}));
        assert_eq!(value.text().as_deref(), Some("{\"a\":[1.5,null]}"));
    }
}
