// Package tensor has the shared tensor, the memory behind it (Scope), the
// operators that layers are written in, and their reverse-mode gradients.
//
// A tensor is row-major float32 with its last axis contiguous; sequences are
// laid out [batch, length, channels]. It knows the Scope that owns its memory:
// an operator puts its result where its inputs live, so only the places where
// data enters name a scope, and layers read like their equations. A tensor
// without a scope lives on the Go heap; weights and states are such.
//
//	plain use       y := tensor.SiLU(x)                       // heap, nothing recorded
//	steps           s := tensor.NewScope(); … s.Reset()       // memory reused, no allocation
//	training        s := tensor.NewScope(tensor.Record()); …; s.Backward(loss)
//	reference       s := tensor.NewScope(tensor.Float64())    // every operator in its plain form, in float64
//
// Shapes that do not fit are a bug of the calling program: operators panic
// with a *ShapeError. Everything that reads data or configuration returns an error.
package tensor
