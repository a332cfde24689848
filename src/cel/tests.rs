//! The dialects as callers see them.

use crate::{Env, Error, Program, Value, Vars};
use serde_json::{Value as Json, json};

fn eval_in(env: &Env, source: &str, vars: &Json) -> Result<Value, Error> {
    Program::compile(env, source)?.eval(&Vars::from_object(vars))
}

fn eval(source: &str, vars: Json) -> Json {
    match eval_in(&Env::kubernetes(), source, &vars) {
        Ok(Value::Json(json)) => json,
        other => panic!("{source}: {other:?}"),
    }
}

fn fails(source: &str, vars: Json) -> String {
    match eval_in(&Env::kubernetes(), source, &vars) {
        Err(error) => error.to_string(),
        Ok(value) => panic!("{source} gave {value:?}"),
    }
}

#[test]
fn whole_json_numbers_are_ints() {
    assert_eq!(eval("n + 1", json!({"n": 5})), json!(6));
    assert_eq!(eval("n - 10", json!({"n": 5})), json!(-5));
    assert_eq!(eval("type(n) == int", json!({"n": 5})), json!(true));
    assert_eq!(eval("n == 5.0", json!({"n": 5})), json!(true));
    assert_eq!(eval("4.0 * 2.0", json!({})), json!(8));
    assert_eq!(eval("n", json!({"n": u64::MAX})), json!(u64::MAX));
}

#[test]
fn mixing_numbers_depends_on_the_dialect() {
    assert!(fails("n + 1.0", json!({"n": 5})).contains("no such overload"));
    let lenient = Env::builder().mixed_numbers().build();
    for (source, result) in [("n + 1.0", json!(6)), ("n * 0.5", json!(2.5)), ("9.0 - n", json!(4))]
    {
        let value = eval_in(&lenient, source, &json!({"n": 5}));
        assert_eq!(value, Ok(Value::Json(result)), "{source}");
    }
}

#[test]
fn two_variable_comprehensions() {
    let vars = || json!({"m": {"b": 2, "a": 1}, "l": ["x", "y"]});
    assert_eq!(eval("m.all(k, v, v > 0 && k != '')", vars()), json!(true));
    assert_eq!(eval("m.exists(k, v, k == 'b' && v == 2)", vars()), json!(true));
    assert_eq!(eval("m.existsOne(k, v, v > 0)", vars()), json!(false));
    assert_eq!(eval("m.transformList(k, v, k + string(v))", vars()), json!(["a1", "b2"]));
    assert_eq!(eval("l.transformList(i, v, i > 0, v)", vars()), json!(["y"]));
    assert_eq!(eval("m.transformMap(k, v, v * 10)", vars()), json!({"a": 10, "b": 20}));
    assert_eq!(eval("m.transformMap(k, v, v > 1, v)", vars()), json!({"b": 2}));
    assert_eq!(eval("l.transformMapEntry(i, v, {v: i})", vars()), json!({"x": 0, "y": 1}));
    assert!(fails("l.transformMapEntry(i, v, {'same': i})", vars()).contains("comes twice"));
    let nested = "m.transformList(k, v, l.transformList(i, x, k + x + string(i) + string(v)))";
    assert_eq!(eval(nested, vars()), json!([["ax01", "ay11"], ["bx02", "by12"]]));
}

#[test]
fn maps_iterate_in_key_order() {
    let map = json!({"m": {"d": 1, "a": 2, "c": 3, "b": 4, "e": 5}});
    assert_eq!(eval("m.map(k, k)", map.clone()), json!(["a", "b", "c", "d", "e"]));
    assert_eq!(eval("{'z': 1, 'y': 2, 'x': 3}.filter(k, k != 'y')", map), json!(["x", "z"]));
}

#[test]
fn binds_and_optionals() {
    assert_eq!(eval("cel.bind(x, 2, cel.bind(y, x * x, x + y))", json!({})), json!(6));
    assert_eq!(eval("ep.?basePath.orValue('/')", json!({"ep": {}})), json!("/"));
    assert_eq!(eval("{'k': 1, ?'p': r.?p}", json!({"r": {}})), json!({"k": 1}));
    assert_eq!(eval("[1, 2].first().value() + [3].last().value()", json!({})), json!(4));
    assert_eq!(eval("optional.unwrap([optional.of(1), optional.none()])", json!({})), json!([1]));
    let hosts = "[g.?http, g.?https].filter(o, o.hasValue()).map(o, o.value().host).distinct()";
    assert_eq!(eval(hosts, json!({"g": {"http": {"host": "h"}}})), json!(["h"]));
    let none = eval_in(&Env::kubernetes(), "optional.none()", &json!({}));
    assert_eq!(none, Ok(Value::None));
}

#[test]
fn sets_lists_strings_math_and_encoders() {
    for (source, result) in [
        ("sets.contains([1, 2, 3], [3.0, 1])", json!(true)),
        ("sets.equivalent(['a', 'b', 'a'], ['b', 'a'])", json!(true)),
        ("sets.intersects([1], [2])", json!(false)),
        ("[3, 1, 2].sort()", json!([1, 2, 3])),
        ("[{'n': 2}, {'n': 1}].sortBy(e, e.n)[0].n", json!(1)),
        ("[[1], [2, [3]]].flatten()", json!([1, 2, [3]])),
        ("[1, 3, 2].isSorted()", json!(false)),
        ("[1, 3, 2].max() + [4, 5].min() + [1, 2].sum()", json!(10)),
        ("['a', 'b', 'a'].lastIndexOf('a')", json!(2)),
        ("[1, 2].indexOf(2.0) + [1].indexOf('1')", json!(0)),
        ("'äbäb'.indexOf('b') * 10 + 'äbäb'.lastIndexOf('b')", json!(13)),
        ("'äbäb'.indexOf('ä', 1) * 10 + 'äbäb'.lastIndexOf('ä', 1)", json!(20)),
        ("'äbäb'.lastIndexOf('ä', 2) * 10 + 'äbäb'.lastIndexOf('bä', 1)", json!(21)),
        ("'ab'.indexOf('') * 10 + 'ab'.lastIndexOf('')", json!(2)),
        ("'ab'.indexOf('', 9) * 10 + 'ab'.lastIndexOf('', 1)", json!(21)),
        ("'ab'.indexOf('c') + 'ab'.lastIndexOf('abc') + 'ab'.indexOf('a', 1)", json!(-3)),
        ("'Ab'.lowerAscii() + ' c '.trim() + 'x'.replace('x', 'y')", json!("abcy")),
        ("'a,b'.split(',')", json!(["a", "b"])),
        ("['a', 'b'].join('-') + ['c'].join()", json!("a-bc")),
        ("'aaa'.replace('a', 'b', 2) + 'ab'.replace('', '-')", json!("bba-a-b-")),
        ("math.greatest(1, 5, 3) + math.least(4, 2) + math.greatest([7, 8])", json!(15)),
        ("optional.of(2).optMap(x, x * 2).value()", json!(4)),
        ("math.ceil(1.2)", json!(2)),
        ("base64.encode(bytes('hi'))", json!("aGk=")),
        ("string(base64.decode('aGk='))", json!("hi")),
        ("'%s has %d'.format(['x', 3])", json!("x has 3")),
        ("'abc123'.find('[0-9]+')", json!("123")),
        ("'a1b2'.findAll('[0-9]', 1)", json!(["1"])),
        ("regex.replace('john smith', r'(\\w+) (\\w+)', r'\\2 \\1')", json!("smith john")),
        ("regex.extract('v1.2', r'v(\\d+)').orValue('')", json!("1")),
        ("'prod-1'.matches('^prod-[0-9]$')", json!(true)),
    ] {
        assert_eq!(eval(source, json!({})), result, "{source}");
    }
}

#[test]
fn a_place_outside_of_a_text_is_an_error() {
    for source in ["'ab'.indexOf('a', 2)", "'ab'.lastIndexOf('a', 2)", "''.indexOf('', -1)"] {
        assert!(fails(source, json!({})).contains("index out of range"), "{source}");
    }
}

#[test]
fn callers_add_functions_and_aliases() {
    let env = Env::builder()
        .function("twice", |args| match args {
            [Value::Json(Json::Number(n))] => Ok(Value::from(n.as_i64().unwrap_or(0) * 2)),
            _ => Err("want one number".to_owned()),
        })
        .function("oc_omit", |_| Ok(Value::Omit))
        .alias("configurations", "toVolumes", &["derived", "volumes"])
        .keyed_alias("workload", "toEndpointResources", &["derived", "resources"])
        .build();
    let vars = json!({"derived": {"volumes": ["v"], "resources": {"http": [1]}}});
    let run = |source: &str| eval_in(&env, source, &vars);
    assert_eq!(run("twice(2) + 1"), Ok(Value::from(5)));
    assert_eq!(run("oc_omit()"), Ok(Value::Omit));
    assert_eq!(run("{'a': 1, 'b': oc_omit()}"), Ok(json!({"a": 1}).into()));
    assert_eq!(run("[1, oc_omit(), 3]"), Ok(json!([1, 3]).into()));
    assert_eq!(run("configurations.toVolumes()"), Ok(json!(["v"]).into()));
    assert_eq!(run("workload.toEndpointResources('http').hasValue()"), Ok(true.into()));
    assert_eq!(run("workload.toEndpointResources('tcp').hasValue()"), Ok(false.into()));
    let error = run("twice('x')").unwrap_err().to_string();
    assert_eq!(error, "cannot evaluate `twice('x')`: twice: want one number");
}

#[test]
fn names_are_checked_before_they_are_reached() {
    assert_eq!(
        fails("true || nope.x", json!({"a": 1, "b": 2})),
        "`true || nope.x` uses `nope`, which is not in scope; in scope: a, b"
    );
    let error = Program::compile(&Env::kubernetes(), "true || nope(1)").unwrap_err();
    assert_eq!(error.to_string(), "`true || nope(1)` calls the unknown function `nope`");
    let program = Program::compile(&Env::kubernetes(), "l.map(x, x + y).exists(k, v, v == z)");
    let variables: Vec<_> = program.unwrap().variables().iter().cloned().collect();
    assert_eq!(variables, ["l", "y", "z"]);
}

#[test]
fn loop_variables_hide_what_is_outside() {
    assert_eq!(eval("[1, 2].map(x, x)", json!({"x": "outer"})), json!([1, 2]));
    let (outer, inner) = (json!({"item": 1, "other": 2}), json!("loop"));
    let parent = Vars::from_object(&outer);
    let child = parent.child().with("item", &inner);
    let program = Program::compile(&Env::kubernetes(), "[item, other]").unwrap();
    assert_eq!(program.eval(&child), Ok(json!(["loop", 2]).into()));
    assert_eq!(program.eval(&parent), Ok(json!([1, 2]).into()));
}

#[test]
fn bounds_hold() {
    let long = "1 + ".repeat(10_000);
    let error = Program::compile(&Env::kubernetes(), &long).unwrap_err();
    assert!(matches!(error, Error::TooLong { length: 40_000, .. }));
    let list: Vec<u32> = (0..2_000).collect();
    let message = fails("l.all(a, l.all(b, a >= 0 && b >= 0))", json!({ "l": list }));
    assert!(message.contains("more than 250000 loop steps"), "{message}");
    let lists = (0..40).fold("s".to_owned(), |e, _| format!("cel.bind(s, [s, s], {e})"));
    let maps = (0..40).fold("s".to_owned(), |e, _| format!("cel.bind(s, {{'a': s, 'b': s}}, {e})"));
    for hostile in [lists.as_str(), &maps, "l.map(x, s).size() + l.map(x, s + s).size()"] {
        let message = fails(hostile, json!({"s": "0".repeat(10_000), "l": list}));
        assert!(message.contains("or builds as much"), "{message}");
    }
    let long = json!({"s": "a".repeat(10_000), "l": list});
    for hostile in ["s.replace('a', s)", "l.map(x, string(x)).join(s)", "regex.replace(s, 'a', s)"]
    {
        let message = fails(hostile, long.clone());
        assert!(message.contains("would build"), "{message}");
    }
    let doubling = (0..40).fold("s".to_owned(), |e, _| format!("cel.bind(s, s + s, {e})"));
    let message = fails(&doubling, json!({"s": "0123456789"}));
    assert!(message.contains("would build"), "{message}");
}

#[test]
fn errors_name_the_expression() {
    assert_eq!(fails("a.b", json!({"a": {}})), "cannot evaluate `a.b`: no such key: b");
    assert_eq!(fails("1 / a", json!({"a": 0})), "cannot evaluate `1 / a`: division by zero");
    let syntax = Program::compile(&Env::kubernetes(), "a +").unwrap_err().to_string();
    assert!(syntax.starts_with("cannot parse `a +`: "), "{syntax}");
    let value = json!({"a": 1});
    let program = Program::compile(&Env::kubernetes(), "a").unwrap();
    let error = program.eval_bool(&Vars::from_object(&value)).unwrap_err();
    assert_eq!(error.to_string(), "`a` must give a bool, not number");
}

#[test]
fn properties_are_escaped_as_kubernetes_does() {
    for (name, escaped) in [
        ("plain", Some("plain")),
        ("x-y", Some("x__dash__y")),
        ("a.b/c", Some("a__dot__b__slash__c")),
        ("redact__it", Some("redact__underscores__it")),
        ("namespace", Some("__namespace__")),
        ("1st", None),
    ] {
        assert_eq!(crate::escape_property(name).as_deref(), escaped, "{name}");
    }
}

#[test]
fn deep_expressions_run_or_are_refused() {
    let env = Env::kubernetes();
    let sum = format!("0{}", " + 1".repeat(150));
    assert_eq!(eval(&sum, json!({})), json!(150));
    let nested = (0..20).fold("true".to_owned(), |e, _| format!("[1].all(i, v, {e})"));
    assert_eq!(eval(&nested, json!({})), json!(true));
    for hostile in [
        format!("1{}", " + 1".repeat(5_000)),
        format!("{}1", "true ? 1 : ".repeat(2_500)),
        format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)),
        (0..60).fold("true".to_owned(), |e, _| format!("[1].all(i, v, {e})")),
    ] {
        let error = Program::compile(&env, &hostile).unwrap_err();
        assert!(matches!(error, Error::Syntax { .. }), "{error}");
    }
    for long in [format!("{}true", "!".repeat(20_000)), format!("{}1", "-".repeat(20_001))] {
        Program::compile(&env, &long).unwrap().eval(&Vars::new()).unwrap();
    }
}

#[test]
fn the_table_of_names_is_complete() {
    // Every known function either evaluates or fails on its arguments, never as undeclared.
    for name in crate::names::KNOWN {
        let calls = if name.contains('.') {
            vec![format!("{name}()")]
        } else {
            vec![format!("{name}()"), format!("''.{name}()")]
        };
        let undeclared = calls.iter().all(|call| {
            // A method may have a name that no function can have, as `namespace`.
            let Ok(program) = Program::compile(&Env::kubernetes(), call) else { return true };
            let result = program.eval(&Vars::new());
            matches!(result, Err(error) if error.to_string().contains("undeclared reference"))
        });
        assert!(!undeclared, "`{name}` is listed but not registered");
    }
}

#[test]
fn a_loop_that_goes_on_after_its_bound_does_nothing_more() {
    let loops = "lists.range(100000).all(i, lists.range(100000).all(j, j >= 0))";
    assert!(fails(loops, json!({})).contains("loop steps"));
    assert_eq!(eval("lists.range(3)", json!({})), json!([0, 1, 2]));
    assert!(fails("lists.range(-1)", json!({})).contains("negative"));
}

#[test]
fn what_is_left_of_the_bound_is_all_that_is_counted() {
    let large = json!(vec![json!({"a": [1, 2, 3]}); 1000]);
    let vars = json!({ "large": large });
    let left = |steps: u64| {
        let vars = Vars::from_object(&vars).limited(steps);
        let program = Program::compile(&Env::kubernetes(), "large == large").unwrap();
        program.eval_bool(&vars).map(|_| steps - vars.left())
    };
    let takes = left(100_000).expect("there is enough");
    assert_eq!(takes, 1000_u64 * (6 * 32 + 1) / 640 + 1, "whole, and rounded up");
    assert_eq!(left(takes), Ok(takes));
    assert!(left(takes - 1).is_err());
}

#[test]
fn ordinary_rules_stay_far_below_the_bound() {
    let listener = |at: usize| {
        json!({"name": format!("listener-{at}"), "port": at, "protocol": "HTTPS",
        "hostname": format!("host-{at}.example.com")})
    };
    let labels: serde_json::Map<String, Json> =
        (0..1000).map(|at| (format!("example.com/label-{at}"), json!("v".repeat(63)))).collect();
    let resources: Vec<Json> = (0..200).map(|at| json!({"id": format!("r{at}")})).collect();
    let vars = json!({"listeners": (0..64).map(listener).collect::<Vec<_>>(), "labels": labels,
        "resources": resources});
    for rule in [
        "resources.exists(r, r.id == 'r199')",
        "labels.all(k, k.size() > 0 && labels[k].size() > 0)",
        "listeners.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
        "listeners.all(a, listeners.exists_one(b, a.name == b.name))",
        "listeners.all(l, l.hostname.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",
        "listeners.map(l, l.name).distinct().size() == listeners.size()",
    ] {
        let vars = Vars::from_object(&vars).limited(crate::MAX_ITERATIONS);
        let program = Program::compile(&Env::kubernetes(), rule).unwrap();
        assert_eq!(program.eval_bool(&vars), Ok(true), "{rule}");
        let takes = crate::MAX_ITERATIONS - vars.left();
        assert!(takes < crate::MAX_ITERATIONS / 20, "{rule} takes {takes}");
    }
}

#[test]
fn a_pattern_costs_the_same_whoever_has_used_it_before() {
    let takes = |source: &str| {
        let vars = Vars::new().limited(100_000);
        let found = Program::compile(&Env::kubernetes(), source).unwrap().eval(&vars);
        assert!(found.is_ok(), "{source}: {found:?}");
        100_000 - vars.left()
    };
    let once = takes("'a'.matches('^[a-c]$')");
    assert_eq!(takes("'a'.matches('^[a-c]$')"), once, "the second time");
    assert!(takes("'a'.matches('^[a-c][a-c]?[a-c]?$')") > once, "a longer one");
    let often = takes("lists.range(100).all(i, 'a'.matches('^[a-c]$'))");
    assert!(often < 5 * once, "{often}: it is compiled once");
    let others = takes("lists.range(100).all(i, !'a'.matches('^[b-c]{' + string(i) + '}$'))");
    assert!(others > 100 * 100, "{others}: each is compiled");
}

#[test]
fn what_is_looked_for_takes_no_longer_for_being_almost_there() {
    let (whole, part) = ("a".repeat(400_000), "a".repeat(200_000) + "b");
    let began = std::time::Instant::now();
    let all = json!({"whole": whole, "part": part});
    let found =
        eval("[whole.indexOf(part), whole.lastIndexOf('b' + whole.substring(1, 200000))]", all);
    assert_eq!(found, json!([-1, -1]));
    // It would be some hundred times as long, in a build without optimizations.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn what_goes_through_its_operands_counts_as_loop_steps() {
    let vars = json!({"list": (0..2000).collect::<Vec<_>>(), "long": "x".repeat(50_000),
        "lists": vec![vec![0; 100]; 50],
        "root": {"lists": vec![vec![0; 100]; 50], "deep": {"lists": vec![vec![0; 100]; 50]}}, "map": {"a": 1}, "wide": vec!["w".repeat(10_000); 10], "one": ["w".repeat(10_000)]});
    let within = |source: &str| {
        let program = Program::compile(&Env::kubernetes(), source).unwrap();
        let vars = Vars::from_object(&vars).limited(10_000);
        let outcome = program.eval_bool(&vars);
        assert_eq!(vars.left() == 0, outcome.is_err(), "{source}: {outcome:?}");
        outcome.is_ok_and(|truth| truth)
    };
    for costly in [
        "list.all(x, x in list)",
        "list.all(x, list.indexOf(x) == x)",
        "list.distinct().size() > 0",
        "sets.contains(list, list)",
        "sets.intersects(list, list)",
        "list.all(x, !long.contains('y'))",
        "list.all(x, size(long) > x)",
        "list.all(x, long.matches('x'))",
        "list.all(x, matches(long, 'x'))",
        "list.all(x, ('x' + long) != '')",
        "list.all(x, lists == lists)",
        "list.all(x, base64.encode(bytes(long)) != '')",
        "list.all(x, 'a'.matches('a|' + string(x)))",
        "list.all(x, !('y' in wide))",
        "list.all(x, !(long in map))",
        "list.all(x, !map[?long].hasValue())",
        "list.all(x, wide.indexOf('y') < 0)",
        "list.all(x, wide.lastIndexOf('y') < 0)",
        "list.all(x, wide.distinct().size() == 1)",
        "list.all(x, sets.contains(wide, wide))",
        "list.all(x, sets.equivalent(wide, wide))",
        "list.all(x, sets.intersects(wide, wide))",
        "list.all(x, wide.sort().size() == 10)",
        "list.all(x, wide.isSorted() && wide.min() == wide.max())",
        "list.all(x, wide.reverse().first().hasValue())",
        "long.indexOf(long + 'y') < 0 && list.all(x, long.indexOf('y') < 0)",
        "list.all(x, long <= long)",
        "list.all(x, long.startsWith(long))",
        "list.all(x, lists.first().hasValue() && lists.last().hasValue())",
        "list.all(x, one.all(y, x >= 0))",
        "list.all(x, root.?lists.hasValue())",
        "list.all(x, root[?'lists'].hasValue())",
        "cel.bind(o, root.?deep, list.all(x, o.lists.hasValue()))",
        "cel.bind(o, root.?deep, list.all(x, o['lists'].hasValue()))",
        "[root.?deep].all(o, list.all(x, o.lists.hasValue()))",
        "list.all(x, [optional.of(lists)].size() == 1)",
        "list.all(x, optional.ofNonZeroValue(lists).hasValue())",
        "list.all(x, cel.bind(l, lists, l.size() == 50))",
        "list.all(x, cel.bind(l, x, lists).size() == 50)",
        "list.all(x, math.greatest(list) >= x)",
        "list.all(x, math.least(list) <= x)",
        "list.all(x, '%s'.format([lists]) != '')",
        "list.all(x, x == x && x < x + 1 && x in map || x >= 0 && x in [x] && x != -1)",
    ] {
        assert!(!within(costly), "{costly}");
    }
    for cheap in [
        "list.all(x, x in map || x >= 0)",
        "list.all(x, x == x && 'abc'.contains('b') && 'a'.matches('^[a-z]$'))",
        "lists.all(l, 0 in l && l.size() == 100)",
        "lists == lists && !long.contains('y') && long.matches('x')",
        "type(list) == type(lists) && type(long) == string",
        "!('y' in wide) && wide.indexOf('y') < 0 && wide.distinct().size() == 1 && sets.contains(wide, wide)",
        "list.all(x, wide.size() == 10 && x >= 0)",
        "list.all(x, 'a' in map && 'abc'.startsWith('a'))",
        "list.all(x, root.deep.lists.size() == 50 && map.?a.hasValue())",
        "cel.bind(m, root, list.all(x, m.deep.lists.size() == 50))",
        "list.all(x, math.greatest(x, 1) >= x && '%d'.format([x]) != '')",
    ] {
        assert!(within(cheap), "{cheap}");
    }
}
