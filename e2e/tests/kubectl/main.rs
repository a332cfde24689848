//! What people do with kubectl, verb by verb, by its oldest and its newest release: what is asserted is what kubectl says.

#![allow(clippy::unwrap_used)]

mod access;
mod apply;
mod change;
mod create;
mod look;
mod python;

use curtain_e2e::{Clients, Instance, Output};

const IMAGE: &str = "docker.io/library/shelf:1";

/// A line of a shell, and words of what it prints on either stream.
type Step = (&'static str, &'static [&'static str]);

/// A kubectl of a release in a namespace of its own: `$K` in shell lines; `$N` is the namespace, `$I` an image.
struct Shell<'a> {
    instance: &'a Instance,
    release: &'static str,
    namespace: String,
}

impl Shell<'_> {
    fn output(&self, line: &str) -> Output {
        let mut command = self.instance.kubectl_shell(self.release, line);
        command.env("K", format!("timeout 60 kubectl -n {}", self.namespace));
        command.env("N", &self.namespace).env("I", IMAGE);
        Output::of(&mut command)
    }

    /// Every line succeeds and says what it should.
    #[track_caller]
    fn does(&self, steps: &[Step]) {
        self.go(steps, true);
    }

    /// Every line fails and says why.
    #[track_caller]
    fn is_refused(&self, steps: &[Step]) {
        self.go(steps, false);
    }

    #[track_caller]
    fn go(&self, steps: &[Step], well: bool) {
        let mut wrong = Vec::new();
        for (line, words) in steps {
            let output = self.output(line);
            let said = format!("{}{}", output.stdout, output.stderr);
            let missing: Vec<_> = words.iter().filter(|word| !said.contains(**word)).collect();
            if (output.code == 0) != well || !missing.is_empty() {
                wrong.push(format!(
                    "$ {line}\nends with {} and without {missing:?}:\n{said}",
                    output.code
                ));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", self.release, wrong.join("\n"));
    }

    /// A file in the folder that lines run in.
    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.instance.scratch().join(name), text).unwrap();
    }
}

#[test]
fn kubectl_does_what_it_does_everywhere() {
    let instance = Instance::up();
    instance.load_busybox(IMAGE, "from the shelf");
    for release in Clients::KUBECTLS {
        let namespace = instance.space(release).name().to_owned();
        let shell = Shell { instance: &instance, release, namespace };
        create::every_generator(&shell);
        apply::all_ways(&shell);
        change::workloads(&shell);
        look::at_things(&shell);
        access::who_may_what(&shell);
        change::deletions(&shell);
    }
    python::does_it_too(&instance);
    instance.down();
}
