//! The macros beyond the standard ones: `cel.bind`, `optMap`, `sortBy`, `math.greatest` and the
//! two-variable comprehensions.
//!
//! The interpreter binds one loop variable. `m.all(k, v, p)` therefore becomes a one-variable
//! comprehension over `@entries(m)`, the sorted list of `[key, value]` pairs, whose body binds `k`
//! and `v` to the parts of the pair. Names that start with `@` cannot be written in an expression.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, operators,
};

const ENTRY: &str = "@entry";
const RESULT: &str = "@result";
const TARGET: &str = "@target";

/// Expands a call if it is one of our macros; `Ok(Err(call))` hands any other call back.
///
/// # Errors
///
/// Says what is wrong with the use of the macro.
pub(crate) fn expand(call: CallExpr) -> Result<Result<IdedExpr, CallExpr>, String> {
    let CallExpr { func_name, target, mut args } = call;
    let Some(receiver) = target else {
        return Ok(Err(CallExpr { func_name, target: None, args }));
    };
    let namespace = match &receiver.expr {
        Expr::Ident(name) => name.as_str(),
        _ => "",
    };
    let expanded = match (namespace, func_name.as_str(), args.len()) {
        ("cel", "bind", 3) => {
            let name = variable(&args[0])?;
            let (body, value) = (pop(&mut args), pop(&mut args));
            let_in(name, value, body)
        }
        ("math", "greatest", 1..) => extreme("math.@max", args),
        ("math", "least", 1..) => extreme("math.@min", args),
        (_, "all", 3) => quantifier(*receiver, args, Quantifier::All)?,
        (_, "exists", 3) => quantifier(*receiver, args, Quantifier::Exists)?,
        (_, "existsOne" | "exists_one", 3) => quantifier(*receiver, args, Quantifier::One)?,
        (_, "transformList", 3 | 4) => transform(*receiver, args, Transform::List)?,
        (_, "transformMap", 3 | 4) => transform(*receiver, args, Transform::Map)?,
        (_, "transformMapEntry", 3 | 4) => transform(*receiver, args, Transform::Entry)?,
        (_, "optMap", 2) => opt_map(*receiver, args, true)?,
        (_, "optFlatMap", 2) => opt_map(*receiver, args, false)?,
        (_, "sortBy", 2) => sort_by(*receiver, args)?,
        _ => return Ok(Err(CallExpr { func_name, target: Some(receiver), args })),
    };
    Ok(Ok(expanded))
}

/// A comprehension, in the order it runs.
struct Fold {
    range: IdedExpr,
    var: &'static str,
    init: IdedExpr,
    cond: IdedExpr,
    step: IdedExpr,
    result: IdedExpr,
}

fn fold(fold: Fold) -> IdedExpr {
    node(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: fold.range,
        iter_var: fold.var.to_owned(),
        iter_var2: None,
        accu_var: RESULT.to_owned(),
        accu_init: fold.init,
        loop_cond: fold.cond,
        loop_step: fold.step,
        result: fold.result,
    })))
}

#[derive(Clone, Copy)]
enum Quantifier {
    All,
    Exists,
    One,
}

fn quantifier(
    target: IdedExpr,
    mut args: Vec<IdedExpr>,
    kind: Quantifier,
) -> Result<IdedExpr, String> {
    let (key, value) = two_variables(&args)?;
    let test = with_entry(&key, &value, pop(&mut args));
    let strictly = |e| call(operators::NOT_STRICTLY_FALSE, vec![e]);
    let (init, cond, step, result) = match kind {
        Quantifier::All => (
            boolean(true),
            strictly(ident(RESULT)),
            call(operators::LOGICAL_AND, vec![ident(RESULT), test]),
            ident(RESULT),
        ),
        Quantifier::Exists => (
            boolean(false),
            strictly(call(operators::LOGICAL_NOT, vec![ident(RESULT)])),
            call(operators::LOGICAL_OR, vec![ident(RESULT), test]),
            ident(RESULT),
        ),
        Quantifier::One => {
            let more = call(operators::ADD, vec![ident(RESULT), int(1)]);
            (
                int(0),
                boolean(true),
                call(operators::CONDITIONAL, vec![test, more, ident(RESULT)]),
                call(operators::EQUALS, vec![ident(RESULT), int(1)]),
            )
        }
    };
    let range = call("@entries", vec![target]);
    Ok(fold(Fold { range, var: ENTRY, init, cond, step, result }))
}

#[derive(Clone, Copy)]
enum Transform {
    List,
    Map,
    Entry,
}

fn transform(
    target: IdedExpr,
    mut args: Vec<IdedExpr>,
    kind: Transform,
) -> Result<IdedExpr, String> {
    let (key, value) = two_variables(&args)?;
    let made = with_entry(&key, &value, pop(&mut args));
    let filter = (args.len() == 3).then(|| with_entry(&key, &value, pop(&mut args)));
    let item = match kind {
        Transform::List | Transform::Entry => made,
        Transform::Map => list(vec![part(0), made]),
    };
    let all = collect(call("@entries", vec![target]), ENTRY, item, filter);
    Ok(match kind {
        Transform::List => all,
        Transform::Map => call("@from_pairs", vec![all]),
        Transform::Entry => call("@from_entries", vec![all]),
    })
}

/// The list of `item` for each of the range that passes the filter, in the shape that the
/// interpreter appends to in place.
fn collect(
    range: IdedExpr,
    var: &'static str,
    item: IdedExpr,
    filter: Option<IdedExpr>,
) -> IdedExpr {
    let mut step = call(operators::ADD, vec![ident(RESULT), list(vec![item])]);
    if let Some(filter) = filter {
        step = call(operators::CONDITIONAL, vec![filter, step, ident(RESULT)]);
    }
    fold(Fold {
        range,
        var,
        init: list(Vec::new()),
        cond: boolean(true),
        step,
        result: ident(RESULT),
    })
}

/// `o.optMap(v, e)`: an optional of `e` if `o` holds something. `optFlatMap`'s `e` is an optional.
fn opt_map(target: IdedExpr, mut args: Vec<IdedExpr>, wrap: bool) -> Result<IdedExpr, String> {
    let name = variable(&args[0])?;
    let mut some = let_in(name, method(ident(TARGET), "value", vec![]), pop(&mut args));
    if wrap {
        some = call("optional.of", vec![some]);
    }
    let has = method(ident(TARGET), "hasValue", vec![]);
    let none = call("optional.none", vec![]);
    let choice = call(operators::CONDITIONAL, vec![has, some, none]);
    Ok(let_in(TARGET.to_owned(), target, choice))
}

/// `l.sortBy(e, key)`: the items in the order of their keys.
fn sort_by(target: IdedExpr, mut args: Vec<IdedExpr>) -> Result<IdedExpr, String> {
    let name = variable(&args[0])?;
    let key = let_in(name, ident(ENTRY), pop(&mut args));
    let keys = collect(ident(TARGET), ENTRY, key, None);
    let sorted = method(ident(TARGET), "@sortByAssociatedKeys", vec![keys]);
    Ok(let_in(TARGET.to_owned(), target, sorted))
}

/// `math.greatest` and `math.least`: of one list, one number, or all the arguments.
fn extreme(function: &str, args: Vec<IdedExpr>) -> IdedExpr {
    if args.len() > 2 { call(function, vec![list(args)]) } else { call(function, args) }
}

/// The two loop variables, which must be plain and different names.
fn two_variables(args: &[IdedExpr]) -> Result<(String, String), String> {
    let (key, value) = (variable(&args[0])?, variable(&args[1])?);
    if key == value {
        return Err(format!("the loop variable `{key}` is used twice"));
    }
    Ok((key, value))
}

fn variable(node: &IdedExpr) -> Result<String, String> {
    match &node.expr {
        Expr::Ident(name) => Ok(name.clone()),
        _ => Err("the variable of a macro must be a simple name".to_owned()),
    }
}

/// The key (0) or value (1) of the current entry.
fn part(index: i64) -> IdedExpr {
    call(operators::INDEX, vec![ident(ENTRY), int(index)])
}

/// `body` with both loop variables bound.
fn with_entry(key: &str, value: &str, body: IdedExpr) -> IdedExpr {
    let_in(key.to_owned(), part(0), let_in(value.to_owned(), part(1), body))
}

/// A comprehension over nothing whose accumulator is the variable: the way cel-go binds too.
fn let_in(name: String, value: IdedExpr, body: IdedExpr) -> IdedExpr {
    node(Expr::Comprehension(Box::new(ComprehensionExpr {
        iter_range: list(Vec::new()),
        iter_var: "@unused".to_owned(),
        iter_var2: None,
        loop_step: ident(&name),
        accu_var: name,
        accu_init: value,
        loop_cond: boolean(false),
        result: body,
    })))
}

fn pop(args: &mut Vec<IdedExpr>) -> IdedExpr {
    args.pop().unwrap_or_default()
}

fn node(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

fn ident(name: &str) -> IdedExpr {
    node(Expr::Ident(name.to_owned()))
}

fn int(value: i64) -> IdedExpr {
    node(Expr::Literal(LiteralValue::Int(value.into())))
}

fn boolean(value: bool) -> IdedExpr {
    node(Expr::Literal(LiteralValue::Boolean(value.into())))
}

fn list(elements: Vec<IdedExpr>) -> IdedExpr {
    node(Expr::List(ListExpr::new(elements)))
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    node(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
}

fn method(target: IdedExpr, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    node(Expr::Call(CallExpr { func_name: name.to_owned(), target: Some(Box::new(target)), args }))
}
