//! What a browser does not need of a WebAssembly module, and the rest in an order that packs well.

mod similarity;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, FunctionSection, ImportSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionSectionReader, ImportSectionReader, Parser, Payload, TypeRef,
};

/// Digits of the hash that wasm-bindgen ends the names of imports by.
const HASH: usize = 16;

/// Makes what travels of the module and of the script that loads it smaller; nothing runs otherwise than before. Names of
/// functions go, imports get short names, and functions that are alike come to lie side by side, where gzip, which
/// looks back 32 kB, finds them.
pub fn slim(module: &Path, script: &Path) -> Result<()> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let text = fs::read_to_string(script).with_context(|| format!("cannot read {}", script.display()))?;
    let slimmer = Slimmer::new(&bytes).with_context(|| format!("{} is no module", module.display()))?;
    let text = slimmer.names.iter().fold(text, |text, (long, short)| text.replace(long, short));
    let slim = slimmer.run(&bytes).with_context(|| format!("{} is no module", module.display()))?;
    fs::write(module, slim).with_context(|| format!("cannot write {}", module.display()))?;
    fs::write(script, text).with_context(|| format!("cannot write {}", script.display()))
}

/// Writes a module anew.
struct Slimmer {
    /// Short names of imports by their long ones.
    names: Vec<(String, String)>,
    /// How many functions are imported: they come first, and keep their numbers.
    imported: u32,
    /// The functions of the module in their new order, by their old places.
    order: Vec<usize>,
    /// Their new places by their old ones.
    places: Vec<u32>,
}

type Outcome<T> = Result<T, Error>;

impl Slimmer {
    fn new(module: &[u8]) -> Result<Self> {
        let (mut names, mut imported, mut bodies) = (Vec::new(), 0, Vec::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        imported += u32::from(matches!(import.ty, TypeRef::Func(_)));
                        if is_hashed(import.name) {
                            names.push((import.name.to_owned(), format!("i{}", names.len())));
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        let order = similarity::order(&bodies);
        let mut places = vec![0; order.len()];
        for (place, &old) in order.iter().enumerate() {
            places[old] = place as u32;
        }
        Ok(Self { names, imported, order, places })
    }

    fn run(mut self, module: &[u8]) -> Result<Vec<u8>> {
        let mut slim = Module::new();
        self.parse_core_module(&mut slim, Parser::new(0), module)?;
        Ok(slim.finish())
    }
}

/// Whether wasm-bindgen made the name: `__wbg_fetch_0123456789abcdef`.
fn is_hashed(name: &str) -> bool {
    let hash = name.rsplit_once('_').map_or("", |(_, hash)| hash);
    name.starts_with("__wb") && hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Reencode for Slimmer {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, old: u32) -> Outcome<u32> {
        Ok(match old.checked_sub(self.imported) {
            None => old,
            Some(place) => self.imported + self.places[place as usize],
        })
    }

    fn parse_custom_section(&mut self, _: &mut Module, _: CustomSectionReader) -> Outcome<()> {
        Ok(())
    }

    fn parse_import_section(&mut self, imports: &mut ImportSection, section: ImportSectionReader) -> Outcome<()> {
        for import in section.into_imports() {
            let import = import?;
            let short = self.names.iter().find(|(long, _)| long == import.name).map(|(_, short)| short.clone());
            let ty = self.entity_type(import.ty)?;
            imports.import(import.module, short.as_deref().unwrap_or(import.name), ty);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader,
    ) -> Outcome<()> {
        let types = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for old in self.order.clone() {
            functions.function(self.type_index(types[old])?);
        }
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader) -> Outcome<()> {
        let bodies = section.into_iter().collect::<Result<Vec<_>, _>>()?;
        for old in self.order.clone() {
            utils::parse_function_body(self, code, bodies[old].clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CustomSection, EntityType, ExportKind, ExportSection, Function, Instruction, TypeSection, ValType,
    };

    use super::*;

    const HASHED: &str = "__wbg_now_0123456789abcdef";

    /// An import and four functions: `first` gives 1 and `third` 3, between them are others that call both.
    fn module() -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        let mut imports = ImportSection::new();
        imports.import("./script.js", HASHED, EntityType::Function(0));
        imports.import("./script.js", "__wbindgen_throw", EntityType::Function(0));
        let (mut functions, mut code, mut exports) = (FunctionSection::new(), CodeSection::new(), ExportSection::new());
        let long =
            |number: i32| (0..20).map(|i| Instruction::I32Const(1000 + i)).chain([Instruction::I32Const(number)]);
        let bodies = [
            long(1).collect(),
            vec![Instruction::Call(2), Instruction::Call(4), Instruction::I32Add],
            long(3).collect(),
            vec![Instruction::Call(0)],
        ];
        for (place, body) in bodies.iter().enumerate() {
            functions.function(0);
            let mut function = Function::new([]);
            body.iter().for_each(|instruction| _ = function.instruction(instruction));
            function.instruction(&Instruction::End);
            code.function(&function);
            exports.export(["first", "sum", "third", "now"][place], ExportKind::Func, 2 + place as u32);
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
        module.section(&CustomSection { name: "producers".into(), data: b"a tool"[..].into() });
        module.finish()
    }

    #[test]
    fn functions_move_with_those_who_call_them_and_names_go() {
        let module = module();
        let slimmer = Slimmer::new(&module).unwrap();
        assert_eq!(slimmer.names, [(HASHED.to_owned(), "i0".to_owned())]);
        assert_eq!(slimmer.places[0].abs_diff(slimmer.places[2]), 1, "those alike are neighbours");
        let places = slimmer.places.clone();
        let slim = slimmer.run(&module).unwrap();

        let (mut imports, mut exports, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(&slim) {
            match payload.unwrap() {
                Payload::ImportSection(section) => {
                    imports.extend(section.into_imports().map(|import| import.unwrap().name.to_owned()));
                }
                Payload::ExportSection(section) => exports.extend(section.into_iter().map(|it| it.unwrap().index)),
                Payload::CodeSectionEntry(body) => {
                    let operators = body.get_operators_reader().unwrap().into_iter();
                    calls.push(
                        operators
                            .filter_map(|operator| match operator.unwrap() {
                                wasmparser::Operator::Call { function_index } => Some(function_index),
                                _ => None,
                            })
                            .collect::<Vec<_>>(),
                    );
                }
                Payload::CustomSection(section) => panic!("{} is still there", section.name()),
                _ => {}
            }
        }
        assert_eq!(imports, ["i0", "__wbindgen_throw"]);
        assert_eq!(exports, [2 + places[0], 2 + places[1], 2 + places[2], 2 + places[3]]);
        assert_eq!(calls[places[1] as usize], [2 + places[0], 2 + places[2]]);
        assert_eq!(calls[places[3] as usize], [0], "an import keeps its number");
    }

    #[test]
    fn what_is_no_module_is_named() {
        let folder = std::env::temp_dir().join(format!("klimb-slim-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (module_path, script) = (folder.join("a.wasm"), folder.join("a.js"));
        fs::write(&script, format!("({{ {HASHED}: () => 1 }})")).unwrap();
        fs::write(&module_path, "text").unwrap();
        let error = slim(&module_path, &script).unwrap_err();
        assert!(error.to_string().contains("a.wasm is no module"), "{error}");
        fs::write(&module_path, module()).unwrap();
        slim(&module_path, &script).unwrap();
        assert_eq!(fs::read_to_string(&script).unwrap(), "({ i0: () => 1 })");
        fs::remove_dir_all(&folder).unwrap();
    }
}
