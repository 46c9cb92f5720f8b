//! Values that must not be seen: they have neither `Debug` nor `Serialize`, so that no log, error or state can hold one.

/// A secret value. Reading it takes the word [`Secret::expose`], which a reviewer can search for.
///
/// ```compile_fail
/// println!("{:?}", airlift_core::secret::Secret::new("hush"));
/// ```
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one place that delivers it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
