//! Reads schedules.

use jiff::SignedDuration;

use super::Kind;

struct Bounds {
    min: u64,
    max: u64,
    /// Names of the numbers from `min` on.
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAYS: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds =
    Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };
/// The field was written with a star.
const STAR: u64 = 1 << 63;

pub(super) fn schedule(text: &str) -> Result<Kind, String> {
    if text.is_empty() {
        return Err("empty spec string".into());
    }
    if text.starts_with('@') {
        return descriptor(text);
    }
    let parts: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = parts[..] else {
        let found = parts.len();
        return Err(format!("expected exactly 5 fields, found {found}: [{}]", parts.join(" ")));
    };
    fields([minute, hour, day, month, weekday])
}

fn fields([minute, hour, day, month, weekday]: [&str; 5]) -> Result<Kind, String> {
    let minutes = field(minute, &MINUTES)?;
    let hours = field(hour, &HOURS)?;
    let days = field(day, &DAYS)?;
    let months = field(month, &MONTHS)?;
    let weekdays = field(weekday, &WEEKDAYS)?;
    let either = days & STAR == 0 && weekdays & STAR == 0;
    let (minutes, hours) = (minutes & !STAR, hours & !STAR);
    Ok(Kind::Fields { minutes, hours, days, months, weekdays, either })
}

fn descriptor(text: &str) -> Result<Kind, String> {
    match text {
        "@yearly" | "@annually" => fields(["0", "0", "1", "1", "*"]),
        "@monthly" => fields(["0", "0", "1", "*", "*"]),
        "@weekly" => fields(["0", "0", "*", "*", "0"]),
        "@daily" | "@midnight" => fields(["0", "0", "*", "*", "*"]),
        "@hourly" => fields(["0", "*", "*", "*", "*"]),
        _ => {
            let duration = text
                .strip_prefix("@every ")
                .ok_or_else(|| format!("unrecognized descriptor: {text}"))?;
            let every: SignedDuration = duration.parse().map_err(|_| {
                format!("failed to parse duration {text}: time: invalid duration {duration:?}")
            })?;
            Ok(Kind::Every(every.as_secs().max(1)))
        }
    }
}

fn field(text: &str, bounds: &Bounds) -> Result<u64, String> {
    text.split(',')
        .filter(|part| !part.is_empty())
        .try_fold(0, |bits, part| Ok(bits | range(part, bounds)?))
}

/// `*`, `N`, `N-M`, each with `/STEP` after it.
fn range(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let (numbers, step) = match text.split('/').collect::<Vec<_>>()[..] {
        [numbers] => (numbers, None),
        [numbers, step] => (numbers, Some(step)),
        _ => return Err(format!("too many slashes: {text}")),
    };
    let ends: Vec<&str> = numbers.split('-').collect();
    let (first, mut last, mut star) = match ends[..] {
        ["*" | "?", ..] => (bounds.min, bounds.max, STAR),
        [one] => {
            let number = number_or_name(one, bounds)?;
            (number, number, 0)
        }
        [first, last] => (number_or_name(first, bounds)?, number_or_name(last, bounds)?, 0),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let step = step.map(number).transpose()?;
    if let Some(step) = step {
        // N/STEP goes on to the end.
        if ends.len() == 1 {
            last = bounds.max;
        }
        if step > 1 {
            star = 0;
        }
    }
    let (min, max) = (bounds.min, bounds.max);
    if first < min {
        return Err(format!("beginning of range ({first}) below minimum ({min}): {text}"));
    }
    if last > max {
        return Err(format!("end of range ({last}) above maximum ({max}): {text}"));
    }
    if first > last {
        return Err(format!("beginning of range ({first}) beyond end of range ({last}): {text}"));
    }
    let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok((first..=last).step_by(step).fold(star, |bits, number| bits | 1 << number))
}

fn number_or_name(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let name = text.to_ascii_lowercase();
    match (bounds.min..).zip(bounds.names).find(|(_, known)| **known == name) {
        Some((number, _)) => Ok(number),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed: i64 = text.parse().map_err(|_| {
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")
    })?;
    u64::try_from(parsed).map_err(|_| format!("negative number ({parsed}) not allowed: {text}"))
}

#[cfg(test)]
mod tests {
    use super::schedule;

    #[test]
    fn what_is_wrong_is_said_as_real_servers_say_it() {
        for (text, expected) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            (
                "x * * * *",
                "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            ("@fortnightly", "unrecognized descriptor: @fortnightly"),
            ("@every now", "failed to parse duration @every now: time: invalid duration \"now\""),
        ] {
            assert_eq!(schedule(text).unwrap_err(), expected);
        }
        for text in ["0 0 1,15 * 3", "0-10/5,30 ? * JAN-mar Sun", "@weekly", "@every 1h30m"] {
            assert!(schedule(text).is_ok(), "{text}: {:?}", schedule(text));
        }
    }
}
