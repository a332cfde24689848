//! The `oc_*` functions.

use crate::names::{MAX_LABEL, MAX_NAME, fnv32_hex, name_gen};
use curtain_cel::{Env, EnvBuilder, Value};
use serde_json::{Map, Value as Json};

/// The template dialect, for callers that add functions or macros of their own.
pub fn dialect() -> EnvBuilder {
    Env::builder()
        .mixed_numbers()
        .function("oc_omit", |args| match args {
            [] => Ok(Value::Omit),
            _ => Err("it takes no arguments".to_owned()),
        })
        .function("oc_merge", merge)
        .function("oc_generate_name", |args| name(MAX_NAME, args))
        .function("oc_dns_label", |args| name(MAX_LABEL, args))
        .function("oc_hash", |args| match args {
            [Value::Json(Json::String(text))] => Ok(fnv32_hex(text).into()),
            _ => Err("it takes one string".to_owned()),
        })
}

/// Later maps win; nested maps are replaced whole.
fn merge(args: &[Value]) -> Result<Value, String> {
    if args.len() < 2 {
        return Err("it takes two maps or more".to_owned());
    }
    let mut merged = Map::new();
    for arg in args {
        let Value::Json(Json::Object(map)) = arg else {
            return Err(format!("it takes maps, not {}", arg.type_name()));
        };
        merged.extend(map.clone());
    }
    Ok(Value::Json(Json::Object(merged)))
}

/// Strings, or one list of which everything but strings is left out.
fn name(limit: usize, args: &[Value]) -> Result<Value, String> {
    let parts: Vec<&str> = match args {
        [Value::Json(Json::Array(items))] => items.iter().filter_map(Json::as_str).collect(),
        args => args
            .iter()
            .map(|arg| {
                arg.as_str()
                    .ok_or_else(|| format!("it takes strings or one list, not {}", arg.type_name()))
            })
            .collect::<Result<_, _>>()?,
    };
    if parts.is_empty() {
        return Err("it needs at least one string".to_owned());
    }
    Ok(name_gen(limit, &parts).into())
}
