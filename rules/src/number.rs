//! Numbers of rules and events, compared exactly.

use std::fmt;

use citywatch_parsers::Value;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum CompareOp {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl CompareOp {
    /// Whether `left op right`, given how left compares with right.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}

/// A number of a rule. Whole numbers stay exact.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// A whole number in the range of `i64` and `u64` together.
    Int(i128),
    /// Any other; always finite.
    Float(f64),
}

impl Number {
    /// The number that a value is: a number or a numeric string.
    pub fn of_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Int(number.into())),
            Value::UInt(number) => Some(Self::Int(number.into())),
            Value::Float(number) => Self::from_f64(number),
            Value::Str(text) => Self::parse(text),
            Value::Null | Value::Bool(_) | Value::List(_) => None,
        }
    }

    /// A finite number; `None` for NaN and infinities.
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Float(number))
    }

    /// Reads `-?digits[.digits][e[+-]digits]` and nothing else: no spaces, no `+`, no hexadecimal.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        if digits(unsigned) && unsigned.len() <= 20 {
            // Most numbers are short, and of few bits they are read sooner.
            let short = text.parse::<i64>().ok().map(i128::from);
            return short.or_else(|| text.parse().ok()).map(Self::Int);
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let exponent_ok = exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
        let mantissa_ok = match mantissa.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(mantissa),
        };
        if exponent_ok && mantissa_ok {
            text.parse().ok().and_then(Self::from_f64)
        } else {
            None
        }
    }

    /// As a float, rounded where it must be.
    pub fn to_f64(self) -> f64 {
        match self {
            #[allow(
                clippy::cast_precision_loss,
                reason = "that is what the function is for"
            )]
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    /// By value: exact among whole numbers and between whole numbers and floats.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        use std::cmp::Ordering;
        match (*self, *other) {
            (Self::Int(left), Self::Int(right)) => left.cmp(&right),
            // Floats are finite by construction; NaN built by hand is a bug and sorts as equal.
            (Self::Float(left), Self::Float(right)) => {
                left.partial_cmp(&right).unwrap_or(Ordering::Equal)
            }
            (Self::Float(_), Self::Int(_)) => other.cmp(self).reverse(),
            (Self::Int(left), Self::Float(right)) => {
                // Beyond 2^100 no whole number that we hold is near; below it the floor is exact.
                if right >= 2f64.powi(100) {
                    Ordering::Less
                } else if right <= -(2f64.powi(100)) {
                    Ordering::Greater
                } else {
                    #[allow(
                        clippy::cast_possible_truncation,
                        reason = "the range was checked above"
                    )]
                    let floor = right.floor() as i128;
                    left.cmp(&floor).then(if right > right.floor() {
                        Ordering::Less
                    } else {
                        Ordering::Equal
                    })
                }
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
        }
    }
}
