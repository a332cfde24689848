//! What a tool is, as data.

/// A tool, as one row of a server's table.
#[derive(Debug)]
pub struct Tool {
    /// `list_components`
    pub name: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// The sets that a client can choose.
    pub toolsets: &'static [&'static str],
    /// Arguments, in the order in which they are shown.
    pub args: &'static [Arg],
    /// The action a caller needs; of a tool with a `scope` argument the second is the one for `cluster`.
    pub actions: &'static [&'static str],
    /// What it does to the world.
    pub access: Access,
    /// What it answers.
    pub output: Output,
}

/// What a tool does to the world; becomes its annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Looks only.
    Read,
    /// Adds something; again is an error or another one.
    Create,
    /// Replaces something; again changes nothing more.
    Update,
    /// Removes something; again changes nothing more.
    Delete,
}

/// One argument.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ArgKind,
    /// Whether the tool needs it.
    pub required: bool,
    /// What the name does not say; often nothing.
    pub description: &'static str,
}

/// The type of an argument.
#[derive(Debug, Clone, Copy)]
pub enum ArgKind {
    /// A string.
    Text,
    /// One of a few strings.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// True or false.
    Flag,
    /// An object.
    Object,
    /// A list of objects.
    Objects,
    /// A list of strings.
    Texts,
}

impl Arg {
    /// An argument that the tool needs.
    pub const fn required(name: &'static str, kind: ArgKind) -> Self {
        Self { name, kind, required: true, description: "" }
    }

    /// An argument that can be left out.
    pub const fn optional(name: &'static str, kind: ArgKind) -> Self {
        Self { name, kind, required: false, description: "" }
    }

    /// The same, with a description.
    pub const fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }
}

/// What a tool answers; becomes its output schema.
#[derive(Debug, Clone, Copy)]
pub enum Output {
    /// `{key: [row…], next_cursor?, hint?}`.
    List(&'static str, &'static dyn Members),
    /// As [`Output::List`], the rows under either key or both.
    Lists(&'static str, &'static str, &'static dyn Members),
    /// One object with name and common metadata, and these members beside.
    Item(&'static dyn Members),
    /// An object with exactly these members, the first always.
    Object(&'static [Member]),
    /// `{name, namespace?, action, …}`.
    Mutation,
    /// A JSON schema.
    Schema,
}

/// What knows the members of a result.
pub trait Members: std::fmt::Debug + Sync {
    /// The members, in their order.
    fn members(&self) -> Vec<Member>;
}

/// A member of a result. All but the first of an object can be absent.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its type in JSON Schema's words: `string`, `boolean`, `integer`, `object` or `array`.
    pub kind: &'static str,
}

impl Member {
    /// A string.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: "string" }
    }

    /// True or false.
    pub const fn flag(name: &'static str) -> Self {
        Self { name, kind: "boolean" }
    }

    /// A whole number.
    pub const fn whole(name: &'static str) -> Self {
        Self { name, kind: "integer" }
    }

    /// An object.
    pub const fn object(name: &'static str) -> Self {
        Self { name, kind: "object" }
    }

    /// A list.
    pub const fn list(name: &'static str) -> Self {
        Self { name, kind: "array" }
    }
}
