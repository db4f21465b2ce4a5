//! From files and environment to [`settings::Settings`]. The only place that knows the shapes of
//! `tinyscale.yaml` and `servers.json`.

pub mod settings;
