//! What can go wrong with an expression. Every variant carries the expression itself, because the
//! interpreter's run-time errors carry no position.

/// Why an expression could not be compiled or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The expression is longer than [`crate::MAX_EXPRESSION`] bytes.
    #[error("the expression has {length} bytes, more than the {max} allowed; split it up")]
    TooLong {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The text is not CEL.
    #[error("cannot parse `{}`: {message}", shorten(.expression))]
    Syntax {
        /// The whole expression.
        expression: String,
        /// What the parser says, with line and column where known.
        message: String,
    },
    /// A function that does not exist in this environment.
    #[error("`{}` calls the unknown function `{name}`", shorten(.expression))]
    UnknownFunction {
        /// The whole expression.
        expression: String,
        /// The function as written, with its namespace if it has one.
        name: String,
    },
    /// A variable that is not in scope.
    #[error(
        "`{}` uses `{name}`, which is not in scope; in scope: {}",
        shorten(.expression),
        if .declared.is_empty() { "nothing".to_owned() } else { .declared.join(", ") }
    )]
    Undeclared {
        /// The whole expression.
        expression: String,
        /// The undeclared variable.
        name: String,
        /// The variables that are in scope, sorted.
        declared: Vec<String>,
    },
    /// The evaluation failed.
    #[error("cannot evaluate `{}`: {message}", shorten(.expression))]
    Evaluation {
        /// The whole expression.
        expression: String,
        /// What failed.
        message: String,
    },
    /// The result has another type than the caller needs.
    #[error("`{}` must give a {wanted}, not {got}", shorten(.expression))]
    WrongType {
        /// The whole expression.
        expression: String,
        /// The type needed.
        wanted: &'static str,
        /// The type it has.
        got: &'static str,
    },
}

impl Error {
    /// What is wrong, without the expression.
    pub fn message(&self) -> String {
        match self {
            Error::Syntax { message, .. } | Error::Evaluation { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }
}

/// At most 120 characters of an expression, on one line.
fn shorten(expression: &str) -> String {
    let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        None => line,
        Some((cut, _)) => format!("{}…", &line[..cut]),
    }
}

/// The interpreter's error as a sentence, without Rust debug output where it can be avoided.
pub(crate) fn describe(error: &cel::ExecutionError) -> String {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(key) => format!("no such key: {key}"),
        E::NoSuchOverload(overload) => overload.to_string(),
        E::UndeclaredReference(name) => format!("undeclared reference to `{name}`"),
        E::FunctionError { function, message } => format!("{function}: {message}"),
        E::UnexpectedType { got, want } => format!("unexpected type {got}, want {want}"),
        E::DivisionByZero(_) => "division by zero".to_owned(),
        E::RemainderByZero(_) => "modulus by zero".to_owned(),
        E::Overflow(operator, ..) => format!("integer overflow in `{operator}`"),
        E::UnsupportedBinaryOperator(operator, left, right) => {
            format!("no such overload: `{operator}` on {} and {}", left.type_of(), right.type_of())
        }
        other => other.to_string(),
    }
}
