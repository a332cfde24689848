//! The file system a container starts on.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::unistd::chdir;

use super::mounts::{Kind, Root};
use super::spawn::{Failure, Step};
use super::spec::{ContainerSpec, RootFs};
use crate::node::rootless::Ids;

/// The private writable layer of a container, in its directory.
pub(crate) const LAYER: &str = "upper";

/// Where certificate authorities are in our own image.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Mounts the root file system in this mount namespace; the directory it is on.
pub(super) fn mount_root(spec: &ContainerSpec, ids: &Ids) -> Result<PathBuf, Failure> {
    let root = spec.dir.join("root");
    make_dir(&root)?;
    match &spec.root {
        RootFs::Overlay { store, layers } => mount_overlay(spec, (store, layers), &root, ids)?,
        RootFs::Own { binary, authorities } => mount_own(binary, authorities.as_deref(), &root)?,
    }
    Ok(root)
}

/// Layers below a private writable one.
///
/// The options of `mount` must fit into a page, so layers are named relative to the working directory; the writable
/// parts are named through a descriptor, which also keeps odd characters of their path out of the options.
fn mount_overlay(
    spec: &ContainerSpec,
    (store, layers): (&Path, &[String]),
    root: &Path,
    ids: &Ids,
) -> Result<(), Failure> {
    for part in [LAYER, "work", "empty"] {
        make_dir(&spec.dir.join(part))?;
    }
    // The upper directory becomes `/`, which everyone must be able to enter.
    std::fs::set_permissions(spec.dir.join(LAYER), PermissionsExt::from_mode(0o755))
        .step("prepare the writable layer")?;
    let dir = open(&spec.dir)?;
    let private = format!("/proc/self/fd/{}", dir.as_raw_fd());
    let lower = if layers.is_empty() { format!("{private}/empty") } else { layers.join(":") };
    let marks = marks(ids);
    let options = format!(
        "lowerdir={lower},upperdir={private}/{LAYER},workdir={private}/work,volatile{marks}"
    );
    chdir(store).step("enter the layer store")?;
    mount(Some("overlay"), root, Some("overlay"), MsFlags::MS_NODEV, Some(options.as_str()))
        .step("mount the image's layers")
}

/// Layers below nothing, seen in this mount namespace alone: the directory they are on, below `dir`.
pub(super) fn mount_image(
    dir: &Path,
    number: usize,
    (store, layers): (&Path, &[String]),
    ids: &Ids,
) -> Result<PathBuf, Failure> {
    // Two directories at least: one alone cannot be mounted without a writable one.
    let (empty, target) = (dir.join("empty"), dir.join(format!("image-{number}")));
    make_dir(&empty)?;
    make_dir(&target)?;
    let held = open(&empty)?;
    if layers.is_empty() {
        return Ok(empty);
    }
    chdir(store).step("enter the layer store")?;
    let (layers, marks) = (layers.join(":"), marks(ids));
    let options = format!("lowerdir={layers}:/proc/self/fd/{}{marks}", held.as_raw_fd());
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
    mount(Some("overlay"), &target, Some("overlay"), flags, Some(options.as_str()))
        .step("mount the layers of an image that is a volume")?;
    Ok(target)
}

/// Where layers say what they hide: in attributes of the machine's root, which nobody else can have.
fn marks(ids: &Ids) -> &'static str {
    if ids.are_the_machines() { "" } else { ",userxattr" }
}

/// The image of the node itself: an empty root with one executable.
fn mount_own(binary: &Path, authorities: Option<&Path>, root: &Path) -> Result<(), Failure> {
    mount(Some("tmpfs"), root, Some("tmpfs"), MsFlags::MS_NODEV, Some("mode=755"))
        .step("mount a root in memory")?;
    let inside = Root::open(root)?;
    inside.bind(binary, "/curtain", Kind::File)?;
    inside.remount("/curtain", MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    // A link on many machines; a machine may have none.
    if let Some(authorities) = authorities.and_then(|path| std::fs::canonicalize(path).ok()) {
        inside.bind(&authorities, AUTHORITIES, Kind::File)?;
        inside.remount(
            AUTHORITIES,
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        )?;
    }
    let tmp = root.join("tmp");
    make_dir(&tmp)?;
    std::fs::set_permissions(&tmp, PermissionsExt::from_mode(0o1777)).step("prepare /tmp")
}

/// A descriptor that stands for a directory whose path may be long or odd.
fn open(dir: &Path) -> Result<File, Failure> {
    File::options()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(dir)
        .step(format!("open {}", dir.display()))
}

fn make_dir(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).step(format!("make {}", path.display()))
}
