//! What the compiler does not check: the layers of ARCHITECTURE.md, house rules of the sources, and that the
//! documents speak of things that exist. Reads text and knows no Rust syntax beyond comments.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tinyscale::config::environment::VARIABLES;

/// The modules, lowest first. One may use those of the lines above, never one of its own line.
const LAYERS: [&[&str]; 12] = [
    &["bbb"],
    &["cluster", "tenant"],
    &["callback", "recording"],
    &["hook"],
    &["route"],
    &["clock", "config", "journal", "metrics", "store"],
    &["client"],
    &["state"],
    &["edge"],
    &["admin", "gateway", "replay", "services"],
    &["app"],
    &["cli"],
];

/// The layers up to here decide, and do nothing else.
const PURE: usize = 5;

/// What a pure module has no use for.
const IMPURE: [&str; 10] = [
    "async",
    "tokio",
    "futures",
    "reqwest",
    "rustls",
    "fs",
    "Instant",
    "SystemTime",
    "TcpStream",
    "Mutex",
];

/// Names that only some modules may know: the name, and the files or folders of `src` that may.
const KNOWN_TO: [(&str, &[&str]); 5] = [
    ("pingora", &["gateway", "services", "admin", "edge", "app"]),
    ("quick_xml", &["bbb/xml"]),
    ("sqlx", &["store"]),
    ("reqwest", &["client"]),
    ("clap", &["cli"]),
];

const LINES_MAX: usize = 500;

/// A source file.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The path below `src` without its extension: `gateway/held`.
    fn module(&self) -> &str {
        self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs")
    }

    /// Whether it is compiled for tests only, as the file above it says.
    fn is_test(&self) -> bool {
        let Some((parent, name)) = self.path.trim_end_matches(".rs").rsplit_once('/') else {
            return false;
        };
        let declaration = format!("#[cfg(test)]\nmod {name};");
        fs::read_to_string(format!("{parent}.rs")).is_ok_and(|text| text.contains(&declaration))
    }

    fn top(&self) -> &str {
        self.module().split('/').next().unwrap_or_default()
    }

    /// The lines with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines()).map(|(number, line)| {
            let comment = line.find("//").filter(|at| !line[..*at].ends_with(':'));
            (number, &line[..comment.unwrap_or(line.len())])
        })
    }

    /// Each line of code that `wrong` says something about, with what it says.
    fn complaints<W: ToString>(&self, wrong: impl Fn(&str) -> Vec<W>) -> Vec<String> {
        self.code()
            .flat_map(|(number, line)| {
                wrong(line)
                    .into_iter()
                    .map(move |what| format!("{}:{number}: {}", self.path, what.to_string()))
            })
            .collect()
    }
}

/// All files with this extension below `folder`, in order.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let paths = folders.iter().flat_map(|folder| files(folder, "rs"));
    let sources: Vec<Source> =
        paths.map(|path| Source { text: read(&path), path: path.display().to_string() }).collect();
    assert!(sources.len() > 10, "the sources are elsewhere");
    sources
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The names in `text`: what lies between characters that no name holds.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_name(c)).filter(|name| !name.is_empty())
}

/// The parts of a line that are no texts; a log filter may name what the code may not.
fn unquoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').step_by(2)
}

#[track_caller]
fn check(complaints: impl IntoIterator<Item = String>) {
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The modules that a line names by a path from the crate's root.
fn modules_named(line: &str) -> Vec<&str> {
    line.match_indices("crate::")
        .filter(|(at, _)| !line[..*at].ends_with(is_name))
        .filter_map(|(at, root)| line[at + root.len()..].split(|c| !is_name(c)).next())
        .collect()
}

#[test]
fn modules_use_only_lower_ones() {
    let modules = sources(&["src"]);
    check(modules.iter().filter(|source| !["lib", "main"].contains(&source.top())).flat_map(
        |source| {
            let own = layer(source.top());
            source.complaints(|line| {
                modules_named(line)
                    .into_iter()
                    .filter(|used| *used != source.top() && (own.is_none() || layer(used) >= own))
                    .map(|used| format!("`{}` must not use `{used}`", source.top()))
                    .collect()
            })
        },
    ));
}

#[test]
fn every_module_has_a_layer() {
    let complaints = sources(&["src"])
        .into_iter()
        .filter(|source| !["lib", "main"].contains(&source.top()) && layer(source.top()).is_none());
    check(complaints.map(|source| format!("{}: its module has no layer in LAYERS", source.path)));
}

#[test]
fn the_core_only_decides() {
    let modules = sources(&["src"]);
    let pure = modules.iter().filter(|source| layer(source.top()).is_some_and(|at| at < PURE));
    check(pure.flat_map(|source| {
        source.complaints(|line| {
            let impure = names(line).filter(|name| IMPURE.contains(name));
            impure.map(|name| format!("`{name}` in a module that only decides")).collect()
        })
    }));
}

#[test]
fn libraries_stay_where_they_belong() {
    check(sources(&["src"]).iter().flat_map(|source| {
        source.complaints(|line| {
            let mut wrong = Vec::new();
            for (library, modules) in KNOWN_TO {
                let named = unquoted(line)
                    .flat_map(names)
                    .any(|name| name == library || name.starts_with(&format!("{library}_")));
                let at_home = modules.iter().any(|home| {
                    source
                        .module()
                        .strip_prefix(home)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
                if named && !at_home {
                    wrong.push(format!("only {modules:?} may know {library}"));
                }
            }
            wrong
        })
    }));
}

/// The store writes dates for people who look into its file; nothing is decided by them.
const CLOCKS: [&str; 2] = ["clock", "store"];

#[test]
fn only_the_clock_asks_for_the_time() {
    let modules = sources(&["src"]);
    check(modules.iter().filter(|source| !CLOCKS.contains(&source.module())).flat_map(|source| {
        source.complaints(|line| {
            let asked = ["Instant::now", "SystemTime::now"];
            asked.into_iter().filter(|now| line.contains(now)).collect()
        })
    }));
}

/// A panic that Pingora meets ends the connection without a word.
#[test]
fn every_step_of_a_request_is_guarded_against_panics() {
    const HARMLESS: [&str; 7] = [
        "new_ctx",
        "init_downstream_modules",
        "response_filter",
        "suppress_error_log",
        "suppress_proxy_warn_log",
        "request_summary",
        "logging",
    ];
    let text = fs::read_to_string("src/gateway/proxy.rs").unwrap();
    let steps = text.split_once("impl ProxyHttp for Gateway {").unwrap().1;
    let steps: Vec<&str> = steps.split("\n    }\n").filter(|step| step.contains("fn ")).collect();
    assert!(steps.len() > HARMLESS.len());
    check(steps.into_iter().filter_map(|step| {
        let name = step.split("fn ").nth(1)?.split('(').next()?;
        let fine = HARMLESS.contains(&name) || step.contains("panics::outcome(");
        (!fine).then(|| format!("src/gateway/proxy.rs: {name} lets panics through"))
    }));
}

#[test]
fn files_keep_the_house_rules() {
    let mut complaints = Vec::new();
    for source in sources(&["src", "sim", "tests"]) {
        let mut complain = |what: &str| complaints.push(format!("{}: {what}", source.path));
        if source.path.ends_with("/mod.rs") {
            complain("foo.rs and foo/, never mod.rs");
        }
        if !source.text.starts_with("//! ") {
            complain("begins without a line that says what it is for");
        }
        let before_tests = source.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        if source.path.starts_with("src/")
            && !source.is_test()
            && before_tests.lines().count() > LINES_MAX
        {
            complain("is too long to be read in one go");
        }
        // In pieces, so that this file does not complain about itself.
        for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")] {
            if names(&source.text).any(|name| name == word) {
                complain(&format!("{word}: do it, or open an issue"));
            }
        }
        if [concat!("#[", "allow"), concat!("#![", "allow")].iter().any(|a| source.text.contains(a))
        {
            complain("#[expect(.., reason = \"..\")] tells when it is no longer needed");
        }
    }
    check(complaints);
}

/// The names of the dependencies in a manifest's sections with this title.
fn dependencies(manifest: &str, section: &str) -> BTreeSet<String> {
    let manifest = read(manifest);
    let lines = manifest.lines().skip_while(|line| line.trim() != section).skip(1);
    let entries = lines.take_while(|line| !line.starts_with('['));
    let keys = entries.filter_map(|line| line.split(['=', '.']).next());
    keys.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()).collect()
}

/// A mistake in one of them must show against the other.
#[test]
fn the_simulated_server_shares_no_code() {
    assert!(dependencies("Cargo.toml", "[dependencies]").contains("tokio"));
    assert!(!dependencies("Cargo.toml", "[dependencies]").contains("sim"));
    for section in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
        assert!(!dependencies("sim/Cargo.toml", section).contains("tinyscale"));
    }
}

/// The documents that promise something to people.
const DOCUMENTS: [&str; 7] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "conf/tinyscale.yaml",
    "docs/bounds.md",
];

#[test]
fn the_architecture_names_every_module() {
    let text = read("ARCHITECTURE.md");
    assert!(text.lines().count() <= 250, "ARCHITECTURE.md is longer than anybody reads");
    let modules: BTreeSet<String> =
        sources(&["src"]).iter().map(|source| source.top().to_owned()).collect();
    let missing = modules.iter().filter(|module| !text.contains(&format!("`{module}`")));
    check(missing.map(|module| format!("ARCHITECTURE.md does not name `{module}`")));
}

/// The constants of `src` that bound something, with the file that each is in.
fn bounds() -> BTreeSet<(String, String)> {
    let mut bounds = BTreeSet::new();
    for source in sources(&["src"]) {
        for (_, line) in source.code() {
            let constant = line.split_once("const ").and_then(|(_, rest)| names(rest).next());
            if let Some(name) = constant.filter(|name| name.ends_with("_MAX")) {
                bounds.insert((name.to_owned(), source.path.clone()));
            }
        }
    }
    bounds
}

#[test]
fn the_list_of_bounds_has_every_one_and_no_other() {
    let text = read("docs/bounds.md");
    let listed = |(name, path): &&(String, String)| {
        let (name, path) = (format!("`{name}`"), format!("`{path}`"));
        text.lines().any(|line| line.contains(&name) && line.contains(&path))
    };
    let bounds = bounds();
    let unlisted = bounds.iter().filter(|bound| !listed(bound));
    check(unlisted.map(|(name, path)| format!("no line of docs/bounds.md has {name} and {path}")));
    let known: BTreeSet<&str> = bounds.iter().map(|(name, _)| name.as_str()).collect();
    let invented = names(&text).filter(|name| name.ends_with("_MAX") && !known.contains(name));
    check(invented.map(|name| format!("{name} in docs/bounds.md is no constant of src")));
}

#[test]
fn documents_name_only_files_that_exist() {
    check(DOCUMENTS.iter().flat_map(|document| {
        let text = read(document);
        // Of a command line the program.
        let quoted = text.split('`').skip(1).step_by(2);
        let quoted = quoted.filter_map(|quoted| quoted.split(' ').next());
        let paths = quoted.filter(|quoted| {
            ["src/", "tests/", "sim/", "scripts/", "conf/", "docs/", ".ci/"]
                .iter()
                .any(|folder| quoted.starts_with(folder))
        });
        let missing = paths.filter(|path| !Path::new(path).exists());
        missing.map(|path| format!("{document}: there is no {path}")).collect::<Vec<_>>()
    }));
}

#[test]
fn documents_name_only_commands_that_exist() {
    let makefile = read("Makefile");
    let is_target = |name: &str| makefile.lines().any(|line| line.starts_with(&format!("{name}:")));
    check(DOCUMENTS.iter().flat_map(|document| {
        let text = read(document);
        let commands = text.split(['`', '\n']).filter_map(|part| part.strip_prefix("make "));
        let targets = commands.filter_map(|command| names(command).next().map(str::to_owned));
        let missing = targets.filter(|target| !is_target(target));
        missing
            .map(move |name| format!("{document}: there is no `make {name}`"))
            .collect::<Vec<_>>()
    }));
}

#[test]
fn documents_name_only_variables_that_are_read() {
    let is_read =
        |name: &str| name == "TINYSCALE_LOG" || VARIABLES.iter().any(|known| known.name == name);
    check(DOCUMENTS.iter().flat_map(|document| {
        let text = read(document);
        let named = names(&text).filter(|name| name.starts_with("TINYSCALE_"));
        let unread = named.filter(|name| !is_read(name));
        unread.map(|name| format!("{document}: nothing reads {name}")).collect::<Vec<_>>()
    }));
}
