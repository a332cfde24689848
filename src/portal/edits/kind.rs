//! What a value can be, and how one that a person wrote is read.

use serde_json::Value;

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that says something: of a field of the binding, of which none is empty.
    Word,
    /// A quantity as Kubernetes writes it, such as `128Mi`.
    Quantity,
    /// A whole number.
    Whole,
    /// A number.
    Decimal,
}

impl Kind {
    pub(super) fn of(list: &str, value: &Value) -> Kind {
        match value {
            Value::Number(number) if number.is_f64() => Kind::Decimal,
            Value::Number(_) => Kind::Whole,
            Value::String(text) if list == "fields" && is_quantity(text) => Kind::Quantity,
            _ if list == "fields" => Kind::Word,
            _ => Kind::Text,
        }
    }

    /// `given` as such a value; nothing if it is none.
    pub(super) fn read(self, given: &str) -> Option<Value> {
        let short = given.trim();
        match self {
            Kind::Text => Some(given.into()),
            Kind::Word => (!short.is_empty()).then(|| short.into()),
            Kind::Quantity => is_quantity(short).then(|| short.into()),
            Kind::Whole => short.parse::<u32>().ok().map(Value::from),
            Kind::Decimal => {
                short.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
            }
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Kind::Text | Kind::Word => "text, and not empty",
            Kind::Quantity => "a quantity, such as 128Mi",
            Kind::Whole => "a whole number, 0 or more",
            Kind::Decimal => "a number",
        }
    }
}

fn is_quantity(text: &str) -> bool {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let units = ["", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"];
    number.parse::<f64>().is_ok_and(|number| number > 0.0) && units.contains(&unit)
}
