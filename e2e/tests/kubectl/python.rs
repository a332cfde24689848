//! The Python client: its dynamic client, its watch, and exec.

use std::path::Path;
use std::process::Command;

use curtain_e2e::{Instance, Output};

pub(crate) fn does_it_too(instance: &Instance) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes_client.py");
    let mut command = Command::new(instance.clients.kubernetes_python());
    command.env_clear().arg("-u").arg(script).arg(instance.kubeconfig()).arg(crate::IMAGE);
    let output = Output::of(&mut command);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.ends_with("done\n"), "{output:?}");
}
