//! One pass over a parsed expression: resolves what the caller's environment adds, puts the
//! bounds in, and collects the free variables.
//!
//! - The range of every comprehension goes through `@items`, which counts it against the budget
//!   and sorts the keys of a map.
//! - What is collected in lists and maps goes through `@kept`, which counts its size; `replace`,
//!   `join` and `lists.range` go through bounded functions, `indexOf` through one that takes no longer than it reads.
//! - What takes time in proportion to its operands goes through `@measured`, `@walked`, `@searched`, `@compared`, `@sorted`
//!   or `@paired`, which count it; patterns are compiled once.
//! - What the interpreter copies although nobody keeps it goes through `@copied` and `@optional`: what is bound to a name,
//!   and what is put into an optional or selected from one.
//! - `+` goes through `@add`, the other arithmetic through its like where numbers may mix.
//! - A field that is a variable of its own becomes one name, as `variables.owner`.
//! - Calls of the caller's functions become `@call(name, [arguments])`.

use crate::charges::{COMPARING, bounded, counting, counting_arguments};
use crate::env::{Alias, Env};
use crate::macros;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, SelectExpr,
    operators,
};
use std::collections::BTreeSet;

/// How deep an expression may nest after macros are expanded; evaluation recurses as deep.
pub(crate) const MAX_DEPTH: usize = 160;

pub(crate) struct Rewritten {
    pub(crate) expression: IdedExpr,
    pub(crate) variables: BTreeSet<String>,
    /// How many levels it nests.
    pub(crate) depth: usize,
}

pub(crate) enum Problem {
    UnknownFunction(String),
    Incomplete,
    Macro(String),
    TooDeep,
}

pub(crate) fn rewrite(env: &Env, source: &str, expression: IdedExpr) -> Result<Rewritten, Problem> {
    let mut pass = Pass {
        env,
        bound: Vec::new(),
        variables: BTreeSet::new(),
        optionals: has_optionals(env, source),
        depth: 0,
        deepest: 0,
    };
    let expression = pass.expr(expression)?;
    Ok(Rewritten { expression, variables: pass.variables, depth: pass.deepest })
}

struct Pass<'e> {
    env: &'e Env,
    bound: Vec<String>,
    variables: BTreeSet<String>,
    /// Values may be optionals.
    optionals: bool,
    depth: usize,
    deepest: usize,
}

impl Pass<'_> {
    fn expr(&mut self, node: IdedExpr) -> Result<IdedExpr, Problem> {
        if self.depth >= MAX_DEPTH {
            return Err(Problem::TooDeep);
        }
        let copies = self.copies(&node.expr);
        let levels = 1 + usize::from(copies);
        self.depth += levels;
        self.deepest = self.deepest.max(self.depth);
        let result = self.visit(node);
        self.depth -= levels;
        if copies { Ok(call("@optional", vec![result?])) } else { result }
    }

    fn visit(&mut self, node: IdedExpr) -> Result<IdedExpr, Problem> {
        let IdedExpr { id, expr } = node;
        let expr = match expr {
            Expr::Unspecified => return Err(Problem::Incomplete),
            Expr::Literal(literal) => Expr::Literal(literal),
            Expr::Ident(name) => {
                self.mention(&name);
                Expr::Ident(name)
            }
            Expr::Select(select) => self.select(select)?,
            Expr::List(mut list) => {
                let plain = list.elements.iter().all(is_literal);
                list.elements = self.all(list.elements)?;
                if plain { Expr::List(list) } else { kept(Expr::List(list)) }
            }
            Expr::Map(mut map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        entry.key = self.expr(std::mem::take(&mut entry.key))?;
                        entry.value = self.expr(std::mem::take(&mut entry.value))?;
                    }
                }
                if map.entries.is_empty() { Expr::Map(map) } else { kept(Expr::Map(map)) }
            }
            // Message literals need types that no environment of ours declares.
            Expr::Struct(literal) => return Err(Problem::UnknownFunction(literal.type_name)),
            Expr::Comprehension(fold) => self.fold(fold)?,
            Expr::Call(call) => self.call(call)?,
        };
        Ok(IdedExpr { id, expr })
    }

    fn select(&mut self, mut select: SelectExpr) -> Result<Expr, Problem> {
        if let Some(name) = self.grouped(&select) {
            self.mention(&name);
            return Ok(match select.test {
                true => Expr::Literal(LiteralValue::Boolean(true.into())),
                false => Expr::Ident(name),
            });
        }
        select.operand = Box::new(self.expr(*select.operand)?);
        Ok(Expr::Select(select))
    }

    fn fold(&mut self, mut fold: Box<ComprehensionExpr>) -> Result<Expr, Problem> {
        let is_bind = matches!(&fold.iter_range.expr, Expr::List(l) if l.elements.is_empty());
        if is_bind {
            fold.accu_init = self.counted("@copied", fold.accu_init)?;
        } else {
            fold.iter_range = call("@items", vec![self.expr(fold.iter_range)?]);
            fold.accu_init = self.expr(fold.accu_init)?;
        }
        let depth = self.bound.len();
        self.bound.push(fold.iter_var.clone());
        self.bound.push(fold.accu_var.clone());
        fold.loop_cond = self.expr(fold.loop_cond)?;
        fold.loop_step = self.step(fold.loop_step)?;
        fold.result = match is_bind {
            true => self.counted("@copied", fold.result)?,
            false => self.expr(fold.result)?,
        };
        self.bound.truncate(depth);
        Ok(Expr::Comprehension(fold))
    }

    fn all(&mut self, nodes: Vec<IdedExpr>) -> Result<Vec<IdedExpr>, Problem> {
        // No iterator's frames on the stack: expressions nest.
        let mut rewritten = Vec::with_capacity(nodes.len());
        for node in nodes {
            rewritten.push(self.expr(node)?);
        }
        Ok(rewritten)
    }

    /// A loop step keeps `@result + [x]` as it is: the interpreter appends to such in place, and
    /// its length is bounded by the range.
    fn step(&mut self, node: IdedExpr) -> Result<IdedExpr, Problem> {
        match node.expr {
            Expr::Call(mut call)
                if call.func_name == operators::ADD
                    && matches!(&call.args[..], [IdedExpr { expr: Expr::Ident(name), .. }, _]
                        if name.starts_with('@')) =>
            {
                call.args = self.appended(call.args)?;
                Ok(IdedExpr { id: node.id, expr: Expr::Call(call) })
            }
            Expr::Call(mut call)
                if call.func_name == operators::CONDITIONAL && call.args.len() == 3 =>
            {
                let mut args = call.args.into_iter();
                let (Some(guard), Some(then), Some(other)) =
                    (args.next(), args.next(), args.next())
                else {
                    return Err(Problem::Incomplete);
                };
                call.args = vec![self.expr(guard)?, self.step(then)?, self.step(other)?];
                Ok(IdedExpr { id: node.id, expr: Expr::Call(call) })
            }
            expr => self.expr(IdedExpr { id: node.id, expr }),
        }
    }

    /// The operands of `@result + [x]`: the list stays a literal, its items are counted.
    fn appended(&mut self, args: Vec<IdedExpr>) -> Result<Vec<IdedExpr>, Problem> {
        let mut operands = Vec::with_capacity(args.len());
        for arg in args {
            operands.push(match arg.expr {
                Expr::List(mut list) => {
                    for item in &mut list.elements {
                        *item = call("@kept", vec![self.expr(std::mem::take(item))?]);
                    }
                    IdedExpr { id: arg.id, expr: Expr::List(list) }
                }
                expr => self.expr(IdedExpr { id: arg.id, expr })?,
            });
        }
        Ok(operands)
    }

    fn call(&mut self, call_expr: CallExpr) -> Result<Expr, Problem> {
        let CallExpr { func_name, target, args } =
            match macros::expand(call_expr).map_err(Problem::Macro)? {
                Ok(expanded) => return Ok(self.expr(expanded)?.expr),
                Err(call_expr) => call_expr,
            };
        if let Some(target) = &target {
            if let Some(alias) = self.alias(target, &func_name, args.len()) {
                return self.expand(alias, args);
            }
            if let Some(namespace) = qualified(&target.expr) {
                let full = format!("{namespace}.{func_name}");
                if self.env.0.known.contains(full.as_str()) {
                    // A namespace is not a variable: leave the target unvisited.
                    let through = ["base64", "regex", "strings"].contains(&namespace.as_str());
                    let args = self.operands(&full, through.then_some("@walked"), args)?;
                    if full == "lists.range" && args.len() == 1 {
                        return Ok(call("@range", args).expr);
                    }
                    return Ok(Expr::Call(CallExpr {
                        func_name,
                        target: Some(target.clone()),
                        args,
                    }));
                }
            }
        }
        if target.is_none() && self.env.0.functions.contains_key(&func_name) {
            let list = bare(Expr::List(ListExpr::new(self.all(args)?)));
            let name = bare(Expr::Literal(LiteralValue::String(func_name.into())));
            return Ok(call("@call", vec![name, call("@copied", vec![list])]).expr);
        }
        let counting = counting(&func_name);
        let (target, args) = match (target, counting) {
            (Some(target), Some("@compared")) if args.iter().all(is_literal) => {
                (Some(Box::new(self.expr(*target)?)), self.all(args)?)
            }
            (Some(target), Some(counting)) => {
                let args = self.operands(&func_name, counting_arguments(&func_name), args)?;
                (Some(Box::new(self.counted(counting, *target)?)), args)
            }
            (Some(target), None) => (Some(Box::new(self.expr(*target)?)), self.all(args)?),
            (None, _) => (None, self.operands(&func_name, counting, args)?),
        };
        if let Some(bounded) = bounded(&func_name, target.is_some()) {
            let args = target.into_iter().map(|target| *target).chain(args).collect();
            return Ok(call(bounded, args).expr);
        }
        let replaced = match func_name.as_str() {
            operators::ADD => Some("@add"),
            operators::SUBSTRACT if self.env.0.mixed_numbers => Some("@sub"),
            operators::MULTIPLY if self.env.0.mixed_numbers => Some("@mul"),
            operators::DIVIDE if self.env.0.mixed_numbers => Some("@div"),
            operators::MODULO if self.env.0.mixed_numbers => Some("@mod"),
            _ => None,
        };
        if let Some(name) = replaced
            && args.len() == 2
        {
            return Ok(call(name, args).expr);
        }
        if !is_operator(&func_name) && !self.env.0.known.contains(func_name.as_str()) {
            return Err(Problem::UnknownFunction(func_name));
        }
        Ok(Expr::Call(CallExpr { func_name, target, args }))
    }

    /// The operands of what has no target, with that counted which is gone through.
    fn operands(
        &mut self,
        name: &str,
        counting: Option<&str>,
        args: Vec<IdedExpr>,
    ) -> Result<Vec<IdedExpr>, Problem> {
        let plain = args.iter().any(is_literal);
        let counted = match name {
            // Who is looked for in a map is gone through as well.
            operators::IN => [Some("@compared"), Some("@searched")],
            operators::INDEX | operators::OPT_INDEX => [None, Some("@compared")],
            name if COMPARING.contains(&name) => [Some("@compared").filter(|_| !plain), None],
            _ => [counting, None],
        };
        let mut operands = Vec::with_capacity(args.len());
        for (index, arg) in args.into_iter().enumerate() {
            operands.push(match counted.get(index).copied().flatten() {
                Some(counting) => self.counted(counting, arg)?,
                None => self.expr(arg)?,
            });
        }
        Ok(operands)
    }

    /// An operand that is counted by a function, which is a level of its own.
    fn counted(&mut self, counting: &str, node: IdedExpr) -> Result<IdedExpr, Problem> {
        if is_literal(&node) {
            return self.expr(node);
        }
        self.depth += 1;
        let operand = self.expr(node);
        self.depth -= 1;
        Ok(call(counting, vec![operand?]))
    }

    /// Whether the interpreter puts a copy into an optional, which is the result.
    fn copies(&self, expr: &Expr) -> bool {
        let made = match expr {
            Expr::Select(select) => {
                return !select.test
                    && self.may_be_optional(&select.operand)
                    && self.grouped(select).is_none();
            }
            Expr::Call(made) => made,
            _ => return false,
        };
        match (made.func_name.as_str(), &made.target, &made.args[..]) {
            (operators::OPT_SELECT | operators::OPT_INDEX, ..) => true,
            (operators::INDEX, _, [operand, _]) => self.may_be_optional(operand),
            ("of" | "ofNonZeroValue", Some(target), _) => is_named(target, "optional"),
            (method, Some(target), args) => {
                self.alias(target, method, args.len()).is_some_and(|alias| alias.takes_key)
            }
            _ => false,
        }
    }

    /// Whether something may be an optional, so that the interpreter copies what is selected from it. What the caller has
    /// put into the scope is none.
    fn may_be_optional(&self, operand: &IdedExpr) -> bool {
        if !self.optionals {
            return false;
        }
        let mut whole = operand;
        loop {
            whole = match &whole.expr {
                Expr::Select(select) => &select.operand,
                Expr::Call(made) if made.func_name == operators::INDEX && !made.args.is_empty() => {
                    &made.args[0]
                }
                Expr::Ident(name) => {
                    let mut groups = self.env.0.groups.iter();
                    return self.bound.contains(name) || groups.any(|g| g.receiver == *name);
                }
                Expr::Literal(_) => return false,
                _ => return true,
            };
        }
    }

    /// The name of the variable that a field is.
    fn grouped(&self, select: &SelectExpr) -> Option<String> {
        let Expr::Ident(receiver) = &select.operand.expr else { return None };
        if self.bound.contains(receiver) {
            return None;
        }
        let named = |field: &Option<String>| field.as_ref().is_none_or(|f| *f == select.field);
        let mut groups = self.env.0.groups.iter();
        let group = groups.find(|group| group.receiver == *receiver && named(&group.field))?;
        Some(format!("{}.{}", group.receiver, select.field))
    }

    fn alias(&self, target: &IdedExpr, method: &str, args: usize) -> Option<Alias> {
        let Expr::Ident(receiver) = &target.expr else { return None };
        self.env
            .0
            .aliases
            .iter()
            .find(|alias| {
                alias.receiver == *receiver
                    && alias.method == method
                    && args == usize::from(alias.takes_key)
            })
            .cloned()
    }

    fn expand(&mut self, alias: Alias, args: Vec<IdedExpr>) -> Result<Expr, Problem> {
        let mut path = alias.path.into_iter();
        let root = path.next().ok_or(Problem::Incomplete)?;
        self.mention(&root);
        let read = path.fold(bare(Expr::Ident(root)), |operand, field| {
            bare(Expr::Select(SelectExpr { operand: Box::new(operand), field, test: false }))
        });
        match self.all(args)?.pop() {
            None => Ok(read.expr),
            Some(key) => Ok(call(operators::OPT_INDEX, vec![read, key]).expr),
        }
    }

    fn mention(&mut self, name: &str) {
        let plain = name.trim_start_matches('.');
        let is_type = crate::names::TYPES.contains(&plain);
        if !plain.starts_with('@') && !is_type && !self.bound.iter().any(|bound| bound == plain) {
            self.variables.insert(plain.to_owned());
        }
    }
}

fn bare(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    bare(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
}

fn kept(expr: Expr) -> Expr {
    call("@kept", vec![bare(expr)]).expr
}

/// What is written in every expression that makes an optional: operators, functions and methods.
const OPTIONAL: &[&str] = &["?", "optional", "first", "last", "extract"];

/// Whether anything in an expression may be an optional.
fn has_optionals(env: &Env, source: &str) -> bool {
    let from_outside = !env.0.groups.is_empty() || !env.0.aliases.is_empty();
    from_outside || OPTIONAL.iter().any(|text| source.contains(text))
}

fn is_named(node: &IdedExpr, name: &str) -> bool {
    matches!(&node.expr, Expr::Ident(is) if is == name)
}

fn is_literal(node: &IdedExpr) -> bool {
    matches!(node.expr, Expr::Literal(_))
}

fn is_operator(name: &str) -> bool {
    name.contains('@') || name.contains('_') && name.contains(|c: char| "?!-+*/%=<>[&|".contains(c))
}

/// The dotted name an expression spells, if it is one.
fn qualified(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Ident(name) => Some(name.trim_start_matches('.').to_owned()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", qualified(&select.operand.expr)?, select.field))
        }
        _ => None,
    }
}
