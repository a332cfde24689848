//! Progress on stderr: bars on a terminal, one plain line per finished step otherwise.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use curtain_appliance::progress::{Event, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output::{self, Style};

/// Shows the steps of a plan.
pub(crate) fn shown() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bars::default())
    } else {
        Box::new(Lines::default())
    }
}

/// A line per step that did something.
#[derive(Default)]
struct Lines {
    titles: Mutex<BTreeMap<String, String>>,
}

impl Progress for Lines {
    fn plan(&self, steps: &[(String, String)]) {
        self.titles.lock().unwrap_or_else(PoisonError::into_inner).extend(steps.iter().cloned());
    }

    fn event(&self, step: &str, event: Event) {
        let titles = self.titles.lock().unwrap_or_else(PoisonError::into_inner);
        let title = titles.get(step).map_or(step, String::as_str);
        match event {
            Event::Finished(took) => output::note(&format!("{:>7}  {title}", seconds(took))),
            Event::Failed => output::note(&format!("{:>7}  {title}", "failed")),
            Event::Started | Event::Unchanged | Event::Detail(_) | Event::Part { .. } => {}
        }
    }

    fn note(&self, text: &str) {
        output::note(text);
    }
}

/// A spinner per running step, replaced by its time when it is done.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    bars: Mutex<BTreeMap<String, (String, ProgressBar)>>,
    /// Parts of steps, by step and name.
    parts: Mutex<BTreeMap<(String, String), ProgressBar>>,
}

const TICK: Duration = Duration::from_millis(80);

impl Progress for Bars {
    fn plan(&self, steps: &[(String, String)]) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        for (step, title) in steps {
            bars.entry(step.clone()).or_insert_with(|| (title.clone(), ProgressBar::hidden()));
        }
    }

    fn event(&self, step: &str, event: Event) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((title, bar)) = bars.get_mut(step) else { return };
        let style = Style::stderr();
        match event {
            Event::Started => {
                *bar = self.all.add(ProgressBar::new_spinner());
                bar.set_style(spinner());
                bar.set_prefix(title.clone());
                bar.enable_steady_tick(TICK);
            }
            Event::Detail(text) => bar.set_message(text),
            Event::Part { name, done, total } => self.part(bar, step, name, done, total),
            Event::Finished(took) => {
                self.forget_parts(step);
                finish(bar, &style.green("✔"), &style.dim(&seconds(took)));
            }
            Event::Failed => {
                self.forget_parts(step);
                finish(bar, &style.red("✘"), "failed");
            }
            Event::Unchanged => bar.finish_and_clear(),
        }
    }

    fn note(&self, text: &str) {
        // Above the bars, where it stays; a terminal that has gone away has nobody to tell.
        let _ = self.all.println(format!("  {text}"));
    }
}

impl Bars {
    /// A bar of its own below the step's, for as long as the part is under way.
    fn part(&self, step: &ProgressBar, name: &str, part: String, done: u64, total: u64) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), part);
        if total > 0 && done >= total {
            if let Some(bar) = parts.remove(&key) {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = parts.entry(key).or_insert_with_key(|(_, part)| {
            let bar = self.all.insert_after(step, ProgressBar::new(total));
            if let Ok(style) = ProgressStyle::with_template(PART) {
                bar.set_style(style);
            }
            bar.set_prefix(part.clone());
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
    }

    fn forget_parts(&self, step: &str) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|(of, _), bar| {
            let keep = of != step;
            if !keep {
                bar.finish_and_clear();
            }
            keep
        });
    }
}

/// How a part is shown: its name, a bar, and its bytes.
const PART: &str = "    {prefix:12} {bar:24} {bytes}/{total_bytes}";

impl Drop for Bars {
    /// What was given up on when another step failed leaves no spinner that stands still.
    fn drop(&mut self) {
        let bars = self.bars.get_mut().unwrap_or_else(PoisonError::into_inner);
        bars.values()
            .filter(|(_, bar)| !bar.is_finished())
            .for_each(|(_, bar)| bar.finish_and_clear());
        let parts = self.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
        parts.values().for_each(ProgressBar::finish_and_clear);
    }
}

/// Template errors are impossible for constants; the default is what remains.
fn spinner() -> ProgressStyle {
    let template = if Style::stderr().is_on() {
        "  {spinner:.cyan} {prefix} {msg:.dim}"
    } else {
        "  {spinner} {prefix} {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn finish(bar: &ProgressBar, mark: &str, message: &str) {
    let template = format!("  {mark} {{prefix}} {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.finish_with_message(message.to_owned());
}

/// A duration as people read it.
pub(crate) fn seconds(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f32())
    }
}
