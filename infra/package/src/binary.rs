//! What a binary needs of the system it runs on, as it says itself: the loader, the libraries, and
//! the newest symbols of the C library.

use std::fmt;

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

/// The newest C library that the handler may need. The platform's image is not published; what is
/// known of it is Debian 11 with 2.31 (Azure/azure-functions-python-worker#1651), and 2.28 is what
/// RHEL 8 has, the oldest that Rust's own toolchain is commonly built against.
pub const CEILING: Glibc = Glibc(2, 28);

/// The loader of x86-64 (System V ABI, AMD64 supplement).
pub(crate) const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// A version of the C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc(pub u32, pub u32);

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A 64-bit Linux program for x86-64, as its headers describe it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binary {
    /// The dynamic loader; `None` in a static program.
    pub loader: Option<String>,
    /// The libraries that the loader must find (`DT_NEEDED`).
    pub libraries: Vec<String>,
    /// Where else the loader looks (`DT_RPATH`, `DT_RUNPATH`).
    pub search_paths: Vec<String>,
    /// The newest version of the C library that a symbol is of.
    pub glibc: Option<Glibc>,
    /// Needs of the C library that are not versions, such as `GLIBC_ABI_DT_RELR` (2.36).
    pub other_needs: Vec<String>,
}

impl Binary {
    /// Reads the headers.
    ///
    /// # Errors
    /// What it is instead, in words.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let header = FileHeader64::<Endianness>::parse(bytes)
            .map_err(|e| format!("it is not a 64-bit ELF file ({e})"))?;
        let endian = header.endian().map_err(|e| e.to_string())?;
        if endian != Endianness::Little || header.e_machine(endian) != elf::EM_X86_64 {
            return Err("it is for another processor than x86-64".to_owned());
        }
        let kind = header.e_type(endian);
        if kind != elf::ET_EXEC && kind != elf::ET_DYN {
            return Err("it is an ELF file, and no program".to_owned());
        }
        Self::needs(header, endian, bytes).map_err(|e| format!("its headers are damaged ({e})"))
    }

    fn needs(
        header: &FileHeader64<Endianness>,
        endian: Endianness,
        bytes: &[u8],
    ) -> object::Result<Self> {
        let mut binary = Self::default();
        for program in header.program_headers(endian, bytes)? {
            if let Some(loader) = program.interpreter(endian, bytes)? {
                binary.loader = Some(text(loader));
            }
        }
        let sections = header.sections(endian, bytes)?;
        let dynamic = sections.dynamic_table(endian, bytes)?;
        for entry in &dynamic {
            let into = match entry.tag {
                elf::DT_NEEDED => &mut binary.libraries,
                elf::DT_RPATH | elf::DT_RUNPATH => &mut binary.search_paths,
                _ => continue,
            };
            into.push(text(dynamic.string(entry)?));
        }
        if let Some((mut needs, link)) = sections.gnu_verneed(endian, bytes)? {
            let strings = sections.strings(endian, bytes, link)?;
            while let Some((_, mut versions)) = needs.next()? {
                while let Some(version) = versions.next()? {
                    binary.note(&text(version.name(endian, strings)?));
                }
            }
        }
        Ok(binary)
    }

    /// Notes a version that is needed, of whichever library.
    fn note(&mut self, version: &str) {
        let Some(number) = version.strip_prefix("GLIBC_") else { return };
        let mut parts = number.split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            // A third part is a correction of long ago: 2.2.5.
            (Some(Ok(major)), Some(Ok(minor))) => {
                self.glibc = self.glibc.max(Some(Glibc(major, minor)));
            }
            _ => self.other_needs.push(version.to_owned()),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
