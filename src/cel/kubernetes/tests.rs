//! The libraries as expressions use them.

use crate::{Env, Program, Vars};
use serde_json::{Value as Json, json};

fn eval(source: &str) -> Result<Json, String> {
    let program = Program::compile(&Env::kubernetes(), source).map_err(|e| e.to_string())?;
    let value = program.eval(&Vars::new()).map_err(|e| e.to_string())?;
    value.into_json().ok_or_else(|| "nothing".to_owned())
}

#[track_caller]
fn all_true(sources: &[&str]) {
    for source in sources {
        assert_eq!(eval(source), Ok(json!(true)), "{source}");
    }
}

#[test]
fn quantities() {
    all_true(&[
        "quantity('1.5Gi').compareTo(quantity('1536Mi')) == 0",
        "quantity('1.5Gi') == quantity('1536Mi')",
        "quantity('500m').isLessThan(quantity('1'))",
        "quantity('1e3').asInteger() == 1000",
        "quantity('-2k').sign() == -1",
        "!quantity('100m').isInteger()",
        "quantity('100m').asApproximateFloat() == 0.1",
        "quantity('1').add(quantity('500m')).sub(1) == quantity('0.5')",
        "quantity('12E').isGreaterThan(quantity('10Ei'))",
        "isQuantity('170141183460469231731687303715n') && quantity('0.1n') == quantity('1n')",
        "isQuantity('1Ki') && !isQuantity('1KB') && !isQuantity('') && !isQuantity('1.2.3')",
    ]);
    assert!(eval("quantity('many')").unwrap_err().contains("`many` is not a quantity"));
    assert!(eval("quantity('100m').asInteger()").unwrap_err().contains("not an integer"));
}

#[test]
fn urls() {
    all_true(&[
        "url('https://user@example.com:8443/a%20b?x=1&x=2&y').getHost() == 'example.com:8443'",
        "url('https://example.com:8443/').getHostname() == 'example.com'",
        "url('https://[::1]:80/').getHostname() == '::1'",
        "url('https://[::1]:80/').getPort() == '80'",
        "url('HTTPS://a/b%20c').getScheme() == 'https'",
        "url('https://a/b%20c').getEscapedPath() == '/b%20c'",
        "url('https://a/?x=1&x=2%203&y').getQuery() == {'x': ['1', '2 3'], 'y': ['']}",
        "url('/path?q=1').getHost() == ''",
        "isURL('file:/etc/x') && !isURL('example.com') && !isURL('../x') && !isURL('http://a b')",
    ]);
}

#[test]
fn addresses_and_networks() {
    all_true(&[
        "ip('10.0.0.1').family() == 4 && ip('::1').family() == 6",
        "isIP('10.0.0.1') && !isIP('10.0.0') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0')",
        "ip('::1').isLoopback() && ip('0.0.0.0').isUnspecified()",
        "ip('169.254.1.1').isLinkLocalUnicast() && ip('224.0.0.1').isLinkLocalMulticast()",
        "ip('8.8.8.8').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast()",
        "ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1')",
        "ip('::1') == ip('0:0:0:0:0:0:0:1') && string(ip('::1')) == '::1'",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
        "cidr('::/0').containsIP('2001:db8::1') && !cidr('::/0').containsIP('10.0.0.1')",
        "cidr('2001:db8::/32').prefixLength() == 32 && string(cidr('10.0.0.0/8')) == '10.0.0.0/8'",
        "!isCIDR('10.0.0.0/33') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/08')",
    ]);
}

#[test]
fn formats() {
    all_true(&[
        "!format.dns1123Label().validate('my-name').hasValue()",
        "format.dns1123Label().validate('My').value().size() == 1",
        "format.named('uuid').value().validate('nope').hasValue()",
        "!format.named('unknown').hasValue()",
        "!format.dns1123LabelPrefix().validate('my-').hasValue()",
        "!format.dns1123Subdomain().validate('a.b-c.d').hasValue()",
        "format.dns1035Label().validate('1a').hasValue()",
        "!format.qualifiedName().validate('example.com/My_Name').hasValue()",
        "!format.labelValue().validate('').hasValue()",
        "!format.date().validate('2026-11-22').hasValue() && format.date().validate('2026-13-01').hasValue()",
        "!format.datetime().validate('2026-11-22T13:00:00Z').hasValue()",
        "!format.byte().validate('aGk=').hasValue() && format.byte().validate('?').hasValue()",
    ]);
}

#[test]
fn versions() {
    all_true(&[
        "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3",
        "semver('1.10.0').isGreaterThan(semver('1.9.9'))",
        "semver('1.0.0-rc.2').isLessThan(semver('1.0.0-rc.10'))",
        "semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))",
        "semver('1.0.0+a').compareTo(semver('1.0.0+b')) == 0",
        "isSemver('1.0.0') && !isSemver('1.0') && !isSemver('v1.0.0') && !isSemver('01.0.0')",
    ]);
}

#[test]
fn an_authorizer_is_asked_what_an_expression_says() {
    use crate::{Authorizer, Check};
    use std::sync::{Arc, Mutex};
    let asked = Arc::<Mutex<Vec<Check>>>::default();
    let kept = asked.clone();
    let authorizer = Authorizer::new(move |check| {
        kept.lock().unwrap().push(check.clone());
        (check.verb == "get").then(|| "it is so".to_owned())
    });
    let env = Env::builder().variable_of("authorizer", "requestResource").build();
    let own = Check { resource: "pods".into(), name: "p".into(), ..Check::default() };
    let mut vars = Vars::new();
    vars.insert_authorizer("authorizer", authorizer.clone());
    vars.insert_authorizer("authorizer.requestResource", authorizer.about(own.clone()));
    let eval = |source: &str| Program::compile(&env, source).unwrap().eval(&vars);
    let last = || asked.lock().unwrap().pop().unwrap();

    let long = "authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('d').fieldSelector('a=b').check('get').allowed()";
    assert_eq!(eval(long).unwrap().as_bool(), Some(true));
    let expected = Check {
        verb: "get".into(),
        group: "apps".into(),
        resource: "deployments".into(),
        subresource: "scale".into(),
        namespace: "n".into(),
        name: "d".into(),
        ..Check::default()
    };
    assert_eq!(last(), expected);
    let path = "authorizer.serviceAccount('n', 'a').path('/healthz').check('post')";
    assert_eq!(
        eval(&format!("{path}.allowed() || {path}.errored()")).unwrap().as_bool(),
        Some(false)
    );
    let expected = Check {
        account: Some(("n".into(), "a".into())),
        path: "/healthz".into(),
        verb: "post".into(),
        ..Check::default()
    };
    assert_eq!(last(), expected);
    let reason = eval("authorizer.requestResource.check('get').reason()").unwrap();
    assert_eq!(reason.as_str(), Some("it is so"));
    assert_eq!(last(), Check { verb: "get".into(), ..own });
    for (wrong, why) in [
        ("authorizer.path(' ')", "path must not be empty"),
        ("authorizer.group('').resource('')", "resource must not be empty"),
        ("authorizer.serviceAccount('N', 'a')", "Invalid service account namespace"),
        ("authorizer.serviceAccount('n', 'a..b')", "Invalid service account name"),
        ("authorizer", "has no JSON representation"),
        ("authorizer.resource('pods')", "no matching overload"),
    ] {
        let error = eval(wrong).unwrap_err().to_string();
        assert!(error.contains(why), "{wrong}: {error}");
    }
    let many = "lists.range(5000).all(i, !authorizer.requestResource.check('list').allowed())";
    assert!(eval(many).unwrap_err().to_string().contains("loop steps"));
}

#[test]
fn what_is_parsed_counts() {
    let within = |source: &str, text: &str, steps: u64| {
        let text = json!(text);
        let vars = Vars::new().with("text", &text).limited(steps);
        let outcome = Program::compile(&Env::kubernetes(), source).unwrap().eval_bool(&vars);
        assert_eq!(vars.left() == 0, outcome.is_err(), "{source}: {outcome:?}");
        outcome.is_ok()
    };
    for function in ["isURL", "isIP", "isCIDR", "isQuantity", "isSemver"] {
        let source = format!("lists.range(10).all(i, !{function}(text))");
        assert!(within(&source, " ", 40), "{source}");
        assert!(!within(&source, &" ".repeat(10_000), 1000), "{source}");
    }
    let long = format!("/{}", "p".repeat(10_000));
    let version = format!("1.2.3-{}", "p".repeat(10_000));
    for (source, long) in [
        ("lists.range(10).all(i, format.dns1123Label().validate(text).hasValue())", &long),
        ("cel.bind(u, url(text), lists.range(10).all(i, u.getEscapedPath() != ''))", &long),
        ("cel.bind(u, url(text), lists.range(10).all(i, u.getQuery() == {}))", &long),
        ("cel.bind(u, url(text), lists.range(10).map(i, u).size() == 10)", &long),
        ("cel.bind(v, semver(text), lists.range(10).all(i, !v.isLessThan(v)))", &version),
        ("cel.bind(c, cidr('10.0.0.0/8'), lists.range(10).all(i, !c.containsIP(text)))", &long),
    ] {
        assert!(!within(source, long, 900), "{source}");
    }
}
