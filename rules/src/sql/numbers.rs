//! Comparisons with numbers, exact among whole numbers and between whole numbers and floats.

use super::definitions::Definitions;
use crate::rule::{CompareOp, Number};

/// Up to here every whole number is a float.
const EXACT_MAX: i128 = 1 << 53;
/// Beyond it no whole number of an event is near.
const WHOLE_MAX: f64 = 1e30;

/// The value, a number or a numeric text, is one of `numbers`.
pub(super) fn equals_one_of(numbers: &[Number], definitions: &mut Definitions) -> Vec<String> {
    let small = |number: &Number| match number {
        Number::Int(number) if number.abs() <= EXACT_MAX => Some(number.to_string()),
        _ => None,
    };
    let texts: Vec<String> = numbers.iter().filter_map(small).collect();
    let mut conditions = Vec::new();
    match &texts[..] {
        [] => {}
        [one] => conditions.push(of_number(
            &format!("toInt128OrZero(x) = {one}"),
            &format!("toFloat64OrZero(x) = {one}"),
            definitions,
        )),
        many => {
            let many = many.join(", ");
            conditions.push(of_number(
                &format!("toInt128OrZero(x) IN ({many})"),
                &format!("toFloat64OrZero(x) IN ({many})"),
                definitions,
            ));
        }
    }
    for number in numbers.iter().filter(|number| small(number).is_none()) {
        conditions.push(compares(CompareOp::Equal, *number, definitions));
    }
    conditions
}

/// The value, a number or a numeric text, compares so with `number`.
pub(super) fn compares(op: CompareOp, number: Number, definitions: &mut Definitions) -> String {
    let (whole, float) = match number {
        Number::Int(number) => (
            format!("toInt128OrZero(x) {} {}", sign(op), integer(number)),
            float_with_int(op, number),
        ),
        Number::Float(number) => (
            int_with_float(op, number),
            format!("toFloat64OrZero(x) {} {}", sign(op), float(number)),
        ),
    };
    of_number(&whole, &float, definitions)
}

/// What must hold of a whole number and of any other.
fn of_number(whole: &str, float: &str, definitions: &mut Definitions) -> String {
    let is_whole = definitions.function("is_whole");
    let is_number = definitions.function("is_number");
    format!("multiIf({is_whole}(x), {whole}, {is_number}(x), {float}, 0)")
}

fn sign(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Less => "<",
        CompareOp::LessOrEqual => "<=",
        CompareOp::Greater => ">",
        CompareOp::GreaterOrEqual => ">=",
        CompareOp::Equal => "=",
        CompareOp::NotEqual => "!=",
    }
}

fn integer(number: i128) -> String {
    if number.abs() <= EXACT_MAX {
        number.to_string()
    } else {
        format!("toInt128('{number}')")
    }
}

fn float(number: f64) -> String {
    format!("toFloat64('{number:e}')")
}

/// A float of the event with a whole number of the rule. Where that is no float, its neighbours decide.
fn float_with_int(op: CompareOp, number: i128) -> String {
    if number.abs() <= EXACT_MAX {
        return format!("toFloat64OrZero(x) {} {number}", sign(op));
    }
    #[allow(clippy::cast_precision_loss, reason = "what is lost is looked at")]
    let near = number as f64;
    #[allow(clippy::cast_possible_truncation, reason = "at most 2^64")]
    let back = near as i128;
    if back == number {
        return format!("toFloat64OrZero(x) {} {}", sign(op), float(near));
    }
    let (below, above) = if back < number {
        (near, near.next_up())
    } else {
        (near.next_down(), near)
    };
    match op {
        CompareOp::Less | CompareOp::LessOrEqual => {
            format!("toFloat64OrZero(x) <= {}", float(below))
        }
        CompareOp::Greater | CompareOp::GreaterOrEqual => {
            format!("toFloat64OrZero(x) >= {}", float(above))
        }
        CompareOp::Equal => "0".to_owned(),
        CompareOp::NotEqual => "1".to_owned(),
    }
}

/// A whole number of the event with a float of the rule.
fn int_with_float(op: CompareOp, number: f64) -> String {
    let is_above = number >= WHOLE_MAX;
    if is_above || number <= -WHOLE_MAX {
        let holds = match op {
            CompareOp::Less | CompareOp::LessOrEqual => is_above,
            CompareOp::Greater | CompareOp::GreaterOrEqual => !is_above,
            CompareOp::Equal => false,
            CompareOp::NotEqual => true,
        };
        return u8::from(holds).to_string();
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the range was checked above"
    )]
    let floor = integer(number.floor() as i128);
    if number.fract() == 0.0 {
        return format!("toInt128OrZero(x) {} {floor}", sign(op));
    }
    match op {
        CompareOp::Less | CompareOp::LessOrEqual => format!("toInt128OrZero(x) <= {floor}"),
        CompareOp::Greater | CompareOp::GreaterOrEqual => format!("toInt128OrZero(x) > {floor}"),
        CompareOp::Equal => "0".to_owned(),
        CompareOp::NotEqual => "1".to_owned(),
    }
}
