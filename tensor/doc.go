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
//
// # Tensors
//
// New and From make tensors on the heap, Scope.New and Scope.From in a scope,
// Enter takes one from the heap into a scope. Data is the memory itself,
// Float32s a copy in order. Narrow, Select, Chunks and (where it can) Reshape
// are views: no copy, and their gradient is a part of the base's. Binary
// operators repeat axes that are missing or of length 1, as NumPy does.
//
// Weights may be held in fewer bits (see DType, As and Tensor.Convert): MatMulT
// and GatherIn widen them as they go; all other operators take float32.
//
// # Gradients
//
// Leaves that want one are marked with Track (weights of layers are). In a
// scope with Record, Backward adds to the gradients of all leaves that the loss
// depends on; Grad reads them, ZeroGrad forgets them:
//
//	w := tensor.New(8, 4).Track()
//	s := tensor.NewScope(tensor.Record())
//	loss := tensor.MeanAll(tensor.Square(tensor.MatMulT(s.From(data, 16, 4), w)))
//	s.Backward(loss)
//	step(w.Data(), w.Grad().Data())
//	w.ZeroGrad()
//	s.Reset()
//
// A recording scope keeps all intermediate results until Reset.
//
// # Operators of one's own
//
// Any package can add one, as scan and fft do: Check the shapes, make the
// result with Out, fill it, and if it is Recording register the gradient with
// OnBackward. In a Float64 scope (IsFloat64) compute the plain form from
// Values64 into SetValues64 instead: that is what tests compare with.
//
// # States
//
// A State is what a layer or a model remembers of a sequence; Clone forks it,
// SaveFile and LoadFile keep it. Layers make their own (layer.NewState) and
// hand its parts to operators.
package tensor
