//! The cursor over a schema and the arena it points into.

use std::borrow::Cow;

use serde_json::Value;

use crate::builtin;
use crate::crd::Limits;

/// A name in a schema: borrowed from the built-in table, owned for custom resources.
pub(crate) type Name = Cow<'static, str>;

/// Index of a [`Shape`] in its [`Arena`].
pub(crate) type Id = u32;

/// What a value at a [`Node`] may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything; below it nothing is known. Granular for ownership unless [`Node::is_atomic`].
    Any,
    /// An object with declared fields, or a map when only [`Node::values`] is set.
    Object,
    /// A list of [`Node::item`]s.
    Array,
    /// A string; `bytes` and the time forms of built-in kinds are refinements of it.
    String,
    /// A base64 string.
    Bytes,
    /// An RFC 3339 time.
    Time,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// An integer without a declared width (custom resources).
    Integer,
    /// Any JSON number.
    Number,
    /// true or false.
    Boolean,
    /// An integer or a string.
    IntOrString,
    /// A Kubernetes quantity: a string or a number.
    Quantity,
}

impl Kind {
    /// True for everything that is neither an object nor a list nor unknown.
    pub fn is_scalar(self) -> bool {
        !matches!(self, Kind::Any | Kind::Object | Kind::Array)
    }
}

/// How the items of a list are identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListType<'s> {
    /// The list is one value: replaced and owned as a whole.
    Atomic,
    /// Scalars, each identified by its value.
    Set,
    /// Objects, each identified by these fields.
    Map(Keys<'s>),
}

/// The key fields of a list-map, in declared order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys<'s>(pub(crate) &'s [Name]);

impl<'s> Keys<'s> {
    /// The names, in declared order.
    pub fn iter(self) -> impl Iterator<Item = &'s str> {
        self.0.iter().map(|name| name.as_ref())
    }
}

impl std::fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// What strategic merge patch does at a field (built-in kinds only).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patch<'s> {
    /// Lists merge item by item instead of being replaced.
    pub merge: bool,
    /// The field that identifies an item; `None` for lists of scalars.
    pub merge_key: Option<&'s str>,
    /// `$retainKeys` in the patch clears what it does not name.
    pub retain_keys: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Listing {
    #[default]
    Atomic,
    Set,
    Map,
}

/// Where the rest of a shape lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// Here.
    #[default]
    Own,
    /// In another shape of the same arena; this one only adds what belongs to the field.
    Same(Id),
    /// In the built-in table (a custom resource's `metadata`).
    Builtin(Id),
}

/// One schema node.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    /// Sorted by name.
    pub(crate) fields: Vec<(Name, Id)>,
    pub(crate) required: Vec<Name>,
    pub(crate) values: Option<Id>,
    pub(crate) items: Option<Id>,
    pub(crate) listing: Listing,
    pub(crate) keys: Vec<Name>,
    pub(crate) atomic: bool,
    /// Unknown fields are kept (`x-kubernetes-preserve-unknown-fields`, `RawExtension`).
    pub(crate) open: bool,
    pub(crate) merge: bool,
    pub(crate) merge_key: Option<Name>,
    pub(crate) retain_keys: bool,
    pub(crate) default: Option<Value>,
    /// What only custom resources have.
    pub(crate) limits: Option<Box<Limits>>,
    /// The definition's name, for the words of decode errors and for OpenAPI.
    pub(crate) name: Option<&'static str>,
}

impl Shape {
    pub(crate) fn new(kind: Kind) -> Self {
        Shape {
            kind,
            target: Target::Own,
            fields: Vec::new(),
            required: Vec::new(),
            values: None,
            items: None,
            listing: Listing::Atomic,
            keys: Vec::new(),
            atomic: false,
            open: false,
            merge: false,
            merge_key: None,
            retain_keys: false,
            default: None,
            limits: None,
            name: None,
        }
    }
}

/// All shapes of one schema.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pub(crate) shapes: Vec<Shape>,
}

impl Arena {
    pub(crate) fn push(&mut self, shape: Shape) -> Id {
        self.shapes.push(shape);
        (self.shapes.len() - 1) as Id
    }
}

/// A position in a schema. Copying is free; every question is a lookup.
#[derive(Clone, Copy)]
pub struct Node<'s> {
    arena: &'s Arena,
    /// The shape that carries what belongs to the field (patch strategy, default).
    outer: Id,
    /// The arena and shape that carry the rest.
    inner_arena: &'s Arena,
    inner: Id,
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("kind", &self.kind())
            .field("list_type", &self.list_type())
            .field("atomic", &self.is_atomic())
            .finish_non_exhaustive()
    }
}

impl<'s> Node<'s> {
    pub(crate) fn at(arena: &'s Arena, outer: Id) -> Node<'s> {
        let (inner_arena, inner) = match arena.shapes[outer as usize].target {
            Target::Own => (arena, outer),
            Target::Same(id) => (arena, id),
            Target::Builtin(id) => (builtin::arena(), id),
        };
        Node { arena, outer, inner_arena, inner }
    }

    pub(crate) fn shape(self) -> &'s Shape {
        &self.inner_arena.shapes[self.inner as usize]
    }

    fn field_shape(self) -> &'s Shape {
        &self.arena.shapes[self.outer as usize]
    }

    /// The node of a value about which nothing is known: objects are granular, lists atomic.
    pub fn untyped() -> Node<'s> {
        builtin::untyped()
    }

    /// What a value here may be.
    pub fn kind(self) -> Kind {
        self.shape().kind
    }

    /// The schema of field `name`: the declared one, else that of the map's values, else `None`.
    /// Below [`Kind::Any`] and open objects every name has the untyped node.
    pub fn field(self, name: &str) -> Option<Node<'s>> {
        let shape = self.shape();
        if let Some(node) = self.declared(name) {
            return Some(node);
        }
        match shape.values {
            Some(id) => Some(Node::at(self.inner_arena, id)),
            None if shape.open || shape.kind == Kind::Any => Some(Node::untyped()),
            None => None,
        }
    }

    /// The schema of a field that is declared by name.
    pub fn declared(self, name: &str) -> Option<Node<'s>> {
        let fields = &self.shape().fields;
        let at = fields.binary_search_by(|(field, _)| field.as_ref().cmp(name)).ok()?;
        Some(Node::at(self.inner_arena, fields[at].1))
    }

    /// The declared fields, sorted by name.
    pub fn fields(self) -> impl Iterator<Item = (&'s str, Node<'s>)> {
        let arena = self.inner_arena;
        self.shape().fields.iter().map(move |(name, id)| (name.as_ref(), Node::at(arena, *id)))
    }

    /// The schema of every value of a map.
    pub fn values(self) -> Option<Node<'s>> {
        self.shape().values.map(|id| Node::at(self.inner_arena, id))
    }

    /// The schema of a list's items; untyped below [`Kind::Any`].
    pub fn item(self) -> Option<Node<'s>> {
        match self.shape().items {
            Some(id) => Some(Node::at(self.inner_arena, id)),
            None if self.kind() == Kind::Any => Some(Node::untyped()),
            None => None,
        }
    }

    /// How items of a list here are identified. Atomic for everything that is not a list.
    pub fn list_type(self) -> ListType<'s> {
        for shape in [self.field_shape(), self.shape()] {
            match shape.listing {
                Listing::Atomic => {}
                Listing::Set => return ListType::Set,
                Listing::Map => return ListType::Map(Keys(&shape.keys)),
            }
        }
        ListType::Atomic
    }

    /// True when an object here is one value for ownership (`x-kubernetes-map-type: atomic`), or when
    /// an unknown value is (`RawExtension`).
    pub fn is_atomic(self) -> bool {
        self.shape().atomic || self.field_shape().atomic
    }

    /// True when fields that are not declared are kept.
    pub fn is_open(self) -> bool {
        self.shape().open || self.kind() == Kind::Any
    }

    /// What strategic merge patch does here.
    pub fn patch(self) -> Patch<'s> {
        let shape = self.field_shape();
        Patch {
            merge: shape.merge,
            merge_key: shape.merge_key.as_deref(),
            retain_keys: shape.retain_keys,
        }
    }

    /// The value that a missing field gets.
    pub fn default(self) -> Option<&'s Value> {
        self.field_shape().default.as_ref().or(self.shape().default.as_ref())
    }

    /// What a custom resource's schema says beyond the shape; `None` in built-in kinds.
    pub(crate) fn limits(self) -> Option<&'s Limits> {
        self.shape().limits.as_deref()
    }

    /// Another shape of the same schema.
    pub(crate) fn sibling(self, id: Id) -> Node<'s> {
        Node::at(self.inner_arena, id)
    }

    /// Names of the fields that must be present.
    pub fn required(self) -> impl Iterator<Item = &'s str> {
        self.shape().required.iter().map(|name| name.as_ref())
    }

    /// The Kubernetes definition behind a built-in object, such as `api.core.v1.PodSpec`.
    pub fn definition(self) -> Option<&'static str> {
        self.shape().name
    }
}
