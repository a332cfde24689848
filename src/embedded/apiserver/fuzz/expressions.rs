//! Expressions and amounts.

use curtain_cel::{Env, Error, Program, Vars};
use curtain_schema::builtin;
use serde_json::json;

use crate::quantity::Quantity;

/// An expression is refused, fails, or gives a value, within its bounds. The interpreter runs deep ones on a thread of
/// their own, whose end is told as an error.
pub(super) fn cel(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let object = json!({"replicas": 3, "name": "web", "list": [1, 2, 3], "map": {"a": "b"}, "ratio": 1.5, "none": null});
    let program = match Program::compile(&Env::kubernetes(), text) {
        Ok(program) => program,
        Err(error) => return survived(&error, text),
    };
    assert_eq!(program.source(), text);
    match program.eval(&Vars::new().with("self", &object).with("oldSelf", &object)) {
        Ok(value) => drop(value.into_json()),
        Err(error) => survived(&error, text),
    }
}

fn survived(error: &Error, text: &str) {
    assert!(!error.to_string().contains("panicked"), "{text:?}: {error}");
}

/// What the schema takes for an amount is one for everybody, and the same when it is written and read again.
pub(super) fn quantity(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = Quantity::parse(text);
    assert_eq!(read.is_some(), builtin::quantity(text), "{text:?}");
    let Some(read) = read else { return };
    let written = read.to_string();
    let again = Quantity::parse(&written).expect("it was one before");
    assert_eq!((again, again.to_string()), (read, written.clone()), "{text:?}");
    let _ = (read.millis(), read.is_whole(), (read + read).less(read).ratio(Quantity::count(1)));
    // In expressions there are amounts that are larger than any that is stored.
    let both = json!({ "text": text, "written": written });
    let same = "quantity(self.text).compareTo(quantity(self.written)) == 0";
    let program = Program::compile(&Env::kubernetes(), same).expect("compiles");
    if let Err(error) = program.eval(&Vars::new().with("self", &both)) {
        survived(&error, text);
    }
}
