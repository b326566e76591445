//! What is said of a kernel once: its shader, its uniform block, its buffers and its grid. Pipelines are made from it, and
//! `tests/suite/shaders.rs` holds it against the shader's source.

use super::bare::shader_text;

/// One WGSL file of an operation, with the shared files it calls.
#[derive(Debug, Clone, Copy)]
pub struct Shader {
    /// The path below `shaders/`.
    pub path: &'static str,
    /// Its text, bare.
    pub text: &'static str,
    /// Texts of `shaders/shared/` that go in front.
    pub shared: &'static [&'static str],
    /// What its `override` constants are on an adapter that a processor plays; elsewhere they are as in the text.
    pub on_software: &'static [(&'static str, f64)],
}

impl Shader {
    /// A shader that is the same on every adapter.
    pub(super) const fn new(path: &'static str, text: &'static str, shared: &'static [&'static str]) -> Self {
        Self { path, text, shared, on_software: &[] }
    }

    /// What the device compiles: the shared files, then the file.
    pub fn source(&self) -> String {
        self.shared.iter().copied().chain([self.text]).collect::<Vec<_>>().join("\n")
    }
}

/// The shader at this path below `shaders/`, with the shared texts that go in front of it.
macro_rules! shader {
    ($path:literal, [$($shared:ident),*]) => {
        $crate::backend::declaration::Shader::new(
            $path,
            $crate::backend::bare::shader_text!($path),
            &[$($shared),*],
        )
    };
}
pub(super) use shader;

pub(super) const INDEX: &str = shader_text!("shared/index.wgsl");
pub(super) const REDUCE: &str = shader_text!("shared/reduce.wgsl");
pub(super) const LOGISTIC: &str = shader_text!("shared/logistic.wgsl");
pub(super) const ORDER: &str = shader_text!("shared/order.wgsl");
pub(super) const GELU: &str = shader_text!("shared/gelu.wgsl");

/// What a kernel does to a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only reads it.
    Read,
    /// Replaces it, or the part the contract names, and never reads it.
    Write,
    /// Reads it and writes it back: added to, or updated in place.
    Add,
}

/// One storage buffer of a kernel: the binding's number, the variable's name in the shader, and what happens to it.
pub type Binding = (u32, &'static str, Access);

/// The type of one field of the uniform block. All have four bytes, so field i lies at byte 4·i.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// An unsigned integer.
    U32(&'static str),
    /// A float, passed as its bits.
    F32(&'static str),
}

/// How many workgroups run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// One invocation per item; past 65535 workgroups it goes on in y (`shared/index.wgsl`).
    Items,
    /// Each workgroup covers this many items in x and in y.
    Covers(u32, u32),
}

/// One kernel as the device sees it. Binding 0 is the uniform block.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// The entry point; the parity test has the same name.
    pub name: &'static str,
    /// Where the entry point is.
    pub shader: &'static Shader,
    /// The uniform block's fields, in order.
    pub uniforms: &'static [Field],
    /// The buffers, in the order of the type's fields.
    pub bindings: &'static [Binding],
    /// Invocations of a workgroup in x and y.
    pub workgroup: [u32; 2],
    /// How many workgroups run.
    pub grid: Grid,
}

impl Declaration {
    /// Whether the shader declares the variable `read_write`: some entry point of the same file, among all `kernels`, writes it.
    pub fn is_declared_writable(&self, variable: &str, kernels: &[Self]) -> bool {
        let same_file = kernels.iter().filter(|kernel| kernel.shader.path == self.shader.path);
        same_file
            .flat_map(|kernel| kernel.bindings)
            .any(|&(_, name, access)| name == variable && access != Access::Read)
    }
}
