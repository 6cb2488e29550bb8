//go:build !purego

package vec

// The assembly is printed by internal/asmgen/vec.go. Each function does what
// the portable one of its name does; the last vector is masked, so that an
// element's result does not depend on where it lies. Pointers need no
// alignment; dst may be an input.

//go:noescape
func expAVX512(dst, x *float32, n int)

//go:noescape
func expAVX2(dst, x *float32, n int)

//go:noescape
func sigmoidAVX512(dst, x *float32, n int)

//go:noescape
func sigmoidAVX2(dst, x *float32, n int)

//go:noescape
func siluAVX512(dst, x *float32, n int)

//go:noescape
func siluAVX2(dst, x *float32, n int)

//go:noescape
func siluMulAVX512(dst, x, y *float32, n int)

//go:noescape
func siluMulAVX2(dst, x, y *float32, n int)

//go:noescape
func softplusAVX512(dst, x *float32, n int)

//go:noescape
func softplusAVX2(dst, x *float32, n int)

//go:noescape
func addAVX512(dst, x, y *float32, n int)

//go:noescape
func addAVX2(dst, x, y *float32, n int)

//go:noescape
func subAVX512(dst, x, y *float32, n int)

//go:noescape
func subAVX2(dst, x, y *float32, n int)

//go:noescape
func mulAVX512(dst, x, y *float32, n int)

//go:noescape
func mulAVX2(dst, x, y *float32, n int)

//go:noescape
func divAVX512(dst, x, y *float32, n int)

//go:noescape
func divAVX2(dst, x, y *float32, n int)

//go:noescape
func mulAddAVX512(dst, x, y *float32, n int)

//go:noescape
func mulAddAVX2(dst, x, y *float32, n int)

//go:noescape
func axpyAVX512(dst, x *float32, a float32, n int)

//go:noescape
func axpyAVX2(dst, x *float32, a float32, n int)

//go:noescape
func scaleAVX512(dst, x *float32, a float32, n int)

//go:noescape
func scaleAVX2(dst, x *float32, a float32, n int)

//go:noescape
func offsetAVX512(dst, x *float32, a float32, n int)

//go:noescape
func offsetAVX2(dst, x *float32, a float32, n int)

//go:noescape
func dotAVX512(x, y *float32, n int) float32

//go:noescape
func dotAVX2(x, y *float32, n int) float32

//go:noescape
func sumAVX512(x *float32, n int) float32

//go:noescape
func sumAVX2(x *float32, n int) float32

// maxAVX512 wants n of at least 16.
//
//go:noescape
func maxAVX512(x *float32, n int) float32

// maxAVX2 wants n of at least 8.
//
//go:noescape
func maxAVX2(x *float32, n int) float32
