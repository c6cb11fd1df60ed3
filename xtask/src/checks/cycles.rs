//! No cycles between the modules of a crate: two files that need each other can only be understood together.
//!
//! A module is a file. A `use` or a path outside tests is an edge to the file that defines the name; a re-export is
//! followed to where it points and is no edge itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::source_paths::SourcePaths;
use super::{source_paths, sources};

/// More re-exports than any name passes through.
const MAX_REEXPORTS: usize = 8;

type ModulePath = Vec<String>;

/// The modules of one crate by path; the crate's root has the empty path.
struct Crate {
    modules: BTreeMap<ModulePath, (String, SourcePaths)>,
}

/// What a module needs: the module, and the first line that needs it.
type Edges<'a> = BTreeMap<&'a ModulePath, BTreeMap<&'a ModulePath, usize>>;

pub(crate) fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for entry in fs::read_dir(root)? {
        let folder = entry?.path();
        if folder.join("src").is_dir() && folder.join("Cargo.toml").is_file() {
            findings.extend(Crate::read(root, &folder)?.cycles());
        }
    }
    Ok(findings)
}

impl Crate {
    fn read(root: &Path, folder: &Path) -> anyhow::Result<Self> {
        let source = folder.join("src");
        let mut modules = BTreeMap::new();
        for file in sources::files(&source)? {
            let inside = file.strip_prefix(&source)?;
            if inside.extension().is_none_or(|kind| kind != "rs") || inside.starts_with("bin") {
                continue;
            }
            let mut path: ModulePath =
                inside.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if path.last().is_some_and(|last| last == "mod" || (path.len() == 1 && last == "lib")) {
                path.pop();
            } else if path == ["main"] {
                // A program beside a library is another crate, which names the library from outside.
                if source.join("lib.rs").is_file() {
                    continue;
                }
                path.pop();
            }
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.strip_prefix(root)?.display().to_string();
            modules.insert(path, (name, source_paths::read(&text)));
        }
        Ok(Self { modules })
    }

    fn cycles(&self) -> Vec<String> {
        let edges = self.edges();
        let mut left: BTreeSet<&ModulePath> = self.modules.keys().collect();
        let mut cycles = Vec::new();
        while let Some(module) = left.pop_first() {
            let forth = reachable(&edges, module);
            let cycle: BTreeSet<&ModulePath> =
                forth.into_iter().filter(|other| reachable(&edges, other).contains(module)).collect();
            left.retain(|other| !cycle.contains(other));
            if cycle.len() > 1 {
                cycles.push(self.describe(&cycle, &edges));
            }
        }
        cycles
    }

    fn file(&self, module: &ModulePath) -> &str {
        self.modules.get(module).map_or("", |(file, _)| file)
    }

    fn describe(&self, cycle: &BTreeSet<&ModulePath>, edges: &Edges<'_>) -> String {
        let mut text = "modules need each other:".to_owned();
        for from in cycle {
            let needed = edges.get(from).into_iter().flatten().filter(|(to, _)| cycle.contains(*to));
            for (to, line) in needed {
                text.extend(["\n    ", self.file(from), ":", &line.to_string(), " needs ", self.file(to)]);
            }
        }
        text
    }

    fn edges(&self) -> Edges<'_> {
        let mut edges = Edges::new();
        for (module, (_, source)) in &self.modules {
            let imports = source.imports.iter().filter(|import| !import.is_public);
            let imports = imports.map(|import| (&import.path, import.line, import.name == "*"));
            let paths = source.paths.iter().map(|(path, line)| (path, *line, false));
            for (path, line, is_glob) in imports.chain(paths) {
                let Some((needed, rest)) = self.locate(module, path, MAX_REEXPORTS) else { continue };
                // The name of a module alone is no need: what is named through it is a path of its own.
                if needed != module && (is_glob || !rest.is_empty()) {
                    edges.entry(module).or_default().entry(needed).or_insert(line);
                }
            }
        }
        edges
    }

    /// Finds the module that defines `path`, which is written in `module`, and what follows the module's name. Returns
    /// `None` for a path that leads out of the crate.
    fn locate(
        &self,
        module: &ModulePath,
        path: &[String],
        reexports: usize,
    ) -> Option<(&ModulePath, Vec<String>)> {
        let (first, rest) = path.split_first()?;
        let mut absolute = match first.as_str() {
            "crate" => rest.to_vec(),
            "self" => [module.as_slice(), rest].concat(),
            "super" => {
                let (_, parent) = module.split_last()?;
                let parent = parent.to_vec();
                if rest.first().is_some_and(|next| next == "super") {
                    return self.locate(&parent, rest, reexports);
                }
                [&parent, rest].concat()
            }
            _ => {
                let child = [module.as_slice(), std::slice::from_ref(first)].concat();
                if self.modules.contains_key(&child) {
                    [&child, rest].concat()
                } else {
                    return self.through_import(module, path, reexports);
                }
            }
        };
        let mut rest = Vec::new();
        while !self.modules.contains_key(&absolute) {
            rest.insert(0, absolute.pop()?);
        }
        let (found, _) = self.modules.get_key_value(&absolute)?;
        Some(self.through_import(found, &rest, reexports).unwrap_or((found, rest)))
    }

    /// Follows the import in `module` that brings the first name of `path` into scope.
    fn through_import(
        &self,
        module: &ModulePath,
        path: &[String],
        reexports: usize,
    ) -> Option<(&ModulePath, Vec<String>)> {
        let (first, rest) = path.split_first()?;
        let (_, source) = self.modules.get(module)?;
        let import = source.imports.iter().find(|import| import.name == *first)?;
        let target = [import.path.as_slice(), rest].concat();
        if target == path {
            return None;
        }
        self.locate(module, &target, reexports.checked_sub(1)?)
    }
}

/// All modules that `from` needs, directly or not, with itself.
fn reachable<'a>(edges: &Edges<'a>, from: &'a ModulePath) -> BTreeSet<&'a ModulePath> {
    let mut found = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        let needed = edges.get(module).into_iter().flat_map(BTreeMap::keys);
        open.extend(needed.filter(|needed| found.insert(needed)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(files: &[(&str, &str)]) -> Vec<String> {
        let modules = files.iter().map(|(path, text)| {
            let module = path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            (module, ((*path).to_owned(), source_paths::read(text)))
        });
        Crate { modules: modules.collect() }.cycles()
    }

    #[test]
    fn two_files_that_name_each_other_are_a_cycle() {
        let found =
            cycles(&[("", "mod a;\nmod b;"), ("a", "use crate::b::B;"), ("b", "fn f() {\n super::a::A }")]);
        assert_eq!(found, ["modules need each other:\n    a:1 needs b\n    b:2 needs a"]);
    }

    #[test]
    fn a_parent_that_names_its_children_is_no_cycle() {
        assert_eq!(
            cycles(&[("", ""), ("a", "mod b;\nfn f() { b::g() }"), ("a::b", "use crate::c::C;"), ("c", "")]),
            [""; 0]
        );
    }

    #[test]
    fn a_child_that_names_its_parents_item_is_a_cycle() {
        assert_eq!(cycles(&[("a", "fn f() { b::g() }"), ("a::b", "use super::f;")]).len(), 1);
    }

    #[test]
    fn a_reexport_stands_for_what_it_exports() {
        let children = [
            ("a", "mod b;\nmod c;\npub(crate) use b::B;"),
            ("a::b", ""),
            ("a::c", "use super::B;\nuse super::b;"),
        ];
        assert_eq!(cycles(&children), [""; 0]);
        let through =
            [("a", "pub(crate) use b::B;"), ("a::b", "use crate::c::C;"), ("c", "fn f() -> crate::a::B {}")];
        assert_eq!(cycles(&through).len(), 1);
    }

    #[test]
    fn a_module_that_is_imported_counts_where_it_is_used() {
        let found = cycles(&[
            ("s", ""),
            ("s::a", "use crate::b;\nfn f() { b::g() }"),
            ("b", "use crate::s;\nfn g() { s::a::f() }"),
        ]);
        assert_eq!(found.len(), 1);
    }
}
