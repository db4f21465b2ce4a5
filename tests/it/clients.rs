//! Client libraries as their registries have them, unmodified, through a whole meeting: what front ends built
//! on them meet is what these meet. The scripts and lock files are in `tests/clients/`.
//!
//! Libraries are installed once into the folder for temporary files of this target directory. A missing
//! interpreter fails the test: skipping would hide that nothing was proved.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use sim::{Recording, RecordingState};

use crate::harness::{SECRET, World, wait_for};

/// Where `tests/clients/` is.
fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A folder with what `lock` (a file beside the script) lists, made by `install` if it is not there yet or
/// was made from another list.
fn installed(lock: &Path, name: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name);
    let stamp = folder.join("installed-from");
    let wanted = std::fs::read(lock).unwrap();
    if std::fs::read(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return folder;
    }
    // Absent the first time.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    install(&folder);
    // Last: a folder that was left half made is made anew.
    std::fs::write(stamp, wanted).unwrap();
    folder
}

/// Runs `program` to its end; it must exist and succeed.
#[track_caller]
fn run(program: &Path, arguments: &[&str], prepare: impl FnOnce(&mut Command)) {
    let mut command = Command::new(program);
    command.args(arguments);
    prepare(&mut command);
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| {
        panic!("{} is needed for this test and cannot be run: {error}", program.display())
    });
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{} {arguments:?}: {status}\n{stdout}\n{stderr}", program.display());
}

fn node_modules() -> PathBuf {
    let source = scripts().join("js");
    let lock = source.join("package-lock.json");
    let folder = installed(&lock, "js", |folder| {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), folder.join(file)).unwrap();
        }
        run(Path::new("npm"), &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], |npm| {
            npm.current_dir(folder);
        });
    });
    folder.join("node_modules")
}

fn python() -> PathBuf {
    let lock = scripts().join("python/requirements.txt");
    let folder = installed(&lock, "python", |folder| {
        let venv = folder.to_str().unwrap();
        run(Path::new("python3"), &["-m", "venv", venv], |_| {});
        let requirements = lock.to_str().unwrap();
        run(
            &folder.join("bin/python"),
            &["-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements],
            |_| {},
        );
    });
    folder.join("bin/python")
}

/// Two servers with two recordings each; one of the four is of "old room", one of "other room".
async fn world_with_recordings() -> (World, String) {
    let world = World::start(2).await;
    let old = world.sims[0].add_recording(Recording::of("old room", 1_700_000_000_000));
    world.sims[0].add_recording(Recording::of("third room", 1_700_000_000_001));
    world.sims[1].add_recording(Recording::of("other room", 1_700_000_000_002));
    world.sims[1].add_recording(Recording::of("fourth room", 1_700_000_000_003));
    (world, old)
}

/// Runs the script of a library against the gateway and looks at what it left behind.
async fn check(program: PathBuf, script: &'static str, path: Option<PathBuf>) {
    let (world, recording) = world_with_recordings().await;
    let url = format!("http://{}/bigbluebutton", world.gateway.address);
    let script = scripts().join(script);
    let id = recording.clone();
    let running = tokio::task::spawn_blocking(move || {
        run(&program, &[script.to_str().unwrap()], |command| {
            command.env("BBB_URL", url).env("BBB_SECRET", SECRET).env("RECORDING", id);
            for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
                command.env_remove(proxy);
            }
            if let Some(path) = path {
                command.env("NODE_PATH", path);
            }
        });
    });
    let ran = tokio::time::timeout(Duration::from_secs(120), running).await.unwrap();
    ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));

    wait_for("the meetings to end", || world.sims.iter().all(|sim| sim.meeting_count() == 0)).await;
    let kept = world.sims[0].recordings();
    let changed = kept.iter().find(|one| one.record_id == recording).unwrap();
    assert_eq!(changed.state, RecordingState::Deleted);
    assert_eq!(changed.meta.get("name").map(String::as_str), Some("new name"));
    let calls: Vec<_> = world.sims.iter().flat_map(sim::Sim::calls).collect();
    let refused: Vec<_> = calls.iter().filter(|call| call.checksum == Some(false)).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bigbluebutton_js() {
    let modules = tokio::task::spawn_blocking(node_modules).await.unwrap();
    check(PathBuf::from("node"), "js/run.js", Some(modules)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bigbluebutton_api_python() {
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    check(python, "python/run.py", None).await;
}
