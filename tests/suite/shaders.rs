//! The mirror rule: every shader is held against what its kernels declare, and against their files and parity tests.
//! naga parses the WGSL, so that no struct layout is kept in step by a comment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use klimb::backend::kernels::{Access, Declaration, Field, KERNELS};
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

/// WebGPU's default limits.
const MAX_STORAGE_BUFFERS: usize = 8;
const MAX_INVOCATIONS: u32 = 256;
const MAX_WORKGROUP_BYTES: u32 = 16 * 1024;

fn parse(kernel: &Declaration) -> (Module, ModuleInfo) {
    let source = kernel.shader.source();
    let path = kernel.shader.path;
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{path}: {}", error.emit_to_string_with_path(&source, path)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{path}: {}", error.emit_to_string_with_path(&source, path)));
    (module, info)
}

/// The entry point's number in its module.
fn entry_point(module: &Module, kernel: &Declaration) -> usize {
    let found = module.entry_points.iter().position(|entry_point| entry_point.name == kernel.name);
    found.unwrap_or_else(|| panic!("{} has no entry point {}", kernel.shader.path, kernel.name))
}

/// Files below `folder`, those of sub-folders too.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no .{extension} below {folder}");
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names behind `before` in all `files`.
fn names_behind(before: &str, files: &[PathBuf]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files {
        for rest in text(path).split(before).skip(1) {
            names.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

fn row_names() -> BTreeSet<String> {
    KERNELS.iter().map(|kernel| kernel.name.to_owned()).collect()
}

#[test]
fn rows_have_distinct_names() {
    assert_eq!(row_names().len(), KERNELS.len());
}

#[test]
fn every_entry_point_has_a_row() {
    let mut entry_points = BTreeSet::new();
    for kernel in KERNELS.iter() {
        entry_points.extend(parse(kernel).0.entry_points.into_iter().map(|entry_point| entry_point.name));
    }
    assert_eq!(entry_points, row_names());

    let shaders = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    for path in files("shaders", "wgsl") {
        let is_shared = path.starts_with(shaders.join("shared"));
        let in_table = KERNELS.iter().any(|kernel| path == shaders.join(kernel.shader.path));
        let bare = |line: &str| line.split("//").next().unwrap_or_default().trim_start_matches(' ').to_owned() + "\n";
        let text: String = text(&path).lines().map(bare).collect();
        let included = KERNELS.iter().any(|kernel| kernel.shader.source().contains(&text));
        assert!(included && in_table != is_shared, "{} belongs to no row", path.display());
    }
}

/// The folder of the kernels' types.
const KERNEL_FILES: &str = "crates/klimb-network/src/backend/kernels";

/// `MatmulForward` of `matmul_forward`.
fn type_name(kernel: &Declaration) -> String {
    let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
    kernel.name.split('_').map(capitalised).collect()
}

/// The file of a kernel's type: its shader's name.
fn kernel_file(kernel: &Declaration) -> PathBuf {
    let shader = Path::new(kernel.shader.path).file_stem().expect("a shader is a file");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(KERNEL_FILES).join(shader).with_extension("rs")
}

/// A type that is not in the table would run nowhere.
#[test]
fn every_type_with_an_entry_point_is_in_the_table() {
    assert_eq!(names_behind("#[entry_point(\"", &files(KERNEL_FILES, "rs")), row_names());
}

#[test]
fn every_kernel_has_a_type_in_the_file_of_its_shader_and_its_name_stands_nowhere_else_in_the_backends() {
    let backends = files("crates/klimb-network/src/backend", "rs");
    let code = |path: &Path| text(path).split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    for kernel in KERNELS.iter() {
        let (file, kernel_type) = (kernel_file(kernel), type_name(kernel));
        let declaration = text(&file);
        let entry_point = declaration.split(&format!("#[entry_point(\"{}\", ", kernel.name)).nth(1);
        let declared = entry_point.and_then(|rest| rest.split("pub struct ").nth(1));
        let is_declared = declared.is_some_and(|rest| rest.starts_with(&format!("{kernel_type}<")));
        assert!(is_declared, "{}: no {kernel_type} with the entry point {}", file.display(), kernel.name);
        let quoted = format!("\"{}\"", kernel.name);
        let named: Vec<_> = backends.iter().filter(|path| code(path).contains(&quoted)).collect();
        assert_eq!(named, [&file], "where {quoted} stands");
    }
}

#[test]
fn every_file_of_kernels_is_named_after_a_shader() {
    let of_shaders: BTreeSet<PathBuf> = KERNELS.iter().map(kernel_file).collect();
    let mut others = files(KERNEL_FILES, "rs");
    others.retain(|path| !of_shaders.contains(path));
    let mut others: Vec<_> = others.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    others.sort_unstable();
    assert_eq!(others, ["kernel.rs", "mod.rs"]);
}

/// A test of the kernel's name, in a file that runs the kernel on more than one backend.
#[test]
fn every_kernel_has_a_parity_test() {
    let files = files("tests/kernels", "rs");
    for kernel in KERNELS.iter() {
        let (test, run) = (format!("#[test]\nfn {}() {{\n", kernel.name), format!("kernels::{} {{", type_name(kernel)));
        let is_tested = files.iter().map(|path| text(path)).any(|file| {
            file.contains(&test) && file.contains(&run) && file.contains("gpu()") && file.contains("cpu()")
        });
        assert!(is_tested, "no parity test of {}", kernel.name);
    }
}

/// Numbers, names, and what the entry point really does to each buffer.
#[test]
fn bindings_are_those_of_the_table() {
    for kernel in KERNELS.iter() {
        let (module, info) = parse(kernel);
        let uses = info.get_entry_point(entry_point(&module, kernel));
        let mut bound = BTreeSet::new();
        for (handle, variable) in module.global_variables.iter() {
            let AddressSpace::Storage { access: declared } = variable.space else { continue };
            let used = uses[handle];
            if used.is_empty() {
                continue;
            }
            let name = variable.name.as_deref().expect("a named variable");
            let what = format!("{}: {name}", kernel.name);
            let place = variable.binding.expect("storage is bound");
            let row = kernel.bindings.iter().find(|&&(_, row_name, _)| row_name == name);
            let &(number, _, access) = row.unwrap_or_else(|| panic!("{what} is not in the row"));
            assert_eq!((place.group, place.binding), (0, number), "{what}: group and binding");
            assert_eq!(
                declared.contains(StorageAccess::STORE),
                kernel.is_declared_writable(name, &KERNELS),
                "{what}: access"
            );
            match access {
                Access::Read => assert!(!used.contains(GlobalUse::WRITE), "{what} is written"),
                Access::Write => assert!(used.contains(GlobalUse::WRITE), "{what} is not written"),
                Access::Add => assert!(used.contains(GlobalUse::READ | GlobalUse::WRITE), "{what} is not updated"),
            }
            if access == Access::Write {
                assert!(!used.contains(GlobalUse::READ), "{what} is read");
            }
            bound.insert(name.to_owned());
        }
        let row: BTreeSet<String> = kernel.bindings.iter().map(|&(_, name, _)| name.to_owned()).collect();
        assert_eq!(row, bound, "{}: the row's buffers, the buffers used", kernel.name);
        assert!(row.len() <= MAX_STORAGE_BUFFERS, "{}: {} storage buffers", kernel.name, row.len());
        assert_eq!(row.len(), kernel.bindings.len(), "{}: a buffer twice", kernel.name);
    }
}

#[test]
fn uniform_blocks_are_those_of_the_table() {
    for kernel in KERNELS.iter() {
        let (module, info) = parse(kernel);
        let uses = info.get_entry_point(entry_point(&module, kernel));
        let blocks: Vec<_> = module
            .global_variables
            .iter()
            .filter(|(handle, variable)| variable.space == AddressSpace::Uniform && !uses[*handle].is_empty())
            .map(|(_, variable)| variable)
            .collect();
        assert_eq!(blocks.len(), 1, "{}: uniform blocks", kernel.name);
        let place = blocks[0].binding.expect("a uniform block is bound");
        assert_eq!((place.group, place.binding), (0, 0), "{}: the uniform block's place", kernel.name);
        let TypeInner::Struct { members, .. } = &module.types[blocks[0].ty].inner else {
            panic!("{}: the uniform block is no struct", kernel.name)
        };
        assert_eq!(members.len(), kernel.uniforms.len(), "{}: fields", kernel.name);
        for (i, (member, field)) in members.iter().zip(kernel.uniforms).enumerate() {
            let (name, scalar) = match *field {
                Field::U32(name) => (name, naga::Scalar::U32),
                Field::F32(name) => (name, naga::Scalar::F32),
            };
            let what = format!("{}: field {i}", kernel.name);
            assert_eq!(member.name.as_deref(), Some(name), "{what}");
            assert_eq!(member.offset as usize, 4 * i, "{what}, {name}: offset");
            assert_eq!(module.types[member.ty].inner, TypeInner::Scalar(scalar), "{what}, {name}: type");
        }
    }
}

#[test]
fn workgroups_are_those_of_the_table_and_within_the_default_limits() {
    for kernel in KERNELS.iter() {
        let (module, info) = parse(kernel);
        let index = entry_point(&module, kernel);
        let [x, y] = kernel.workgroup;
        assert_eq!(module.entry_points[index].workgroup_size, [x, y, 1], "{}", kernel.name);
        assert!(x * y <= MAX_INVOCATIONS, "{}: {x}×{y} invocations", kernel.name);
        let uses = info.get_entry_point(index);
        let bytes: u32 = module
            .global_variables
            .iter()
            .filter(|(handle, variable)| variable.space == AddressSpace::WorkGroup && !uses[*handle].is_empty())
            .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
            .sum();
        assert!(bytes <= MAX_WORKGROUP_BYTES, "{}: {bytes} bytes of workgroup memory", kernel.name);
    }
}

/// The contract comes first: what the file computes, before its first line of code.
#[test]
fn every_shader_begins_with_its_contract() {
    for path in files("shaders", "wgsl") {
        let header = text(&path).lines().take_while(|line| line.starts_with("//")).count();
        assert!(header >= 2, "{} has no header", path.display());
    }
}
