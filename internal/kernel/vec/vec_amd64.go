//go:build !purego

package vec

import "github.com/subquad/subquad/hw"

// useAsm says that there is assembly to call, useAVX512 which.
var useAsm, useAVX512 bool

func init() {
	hw.OnLevel(func(l hw.Level) { useAsm, useAVX512 = l.Has(hw.AVX2), l.Has(hw.AVX512) })
}

func expAsm(dst, x *float32, n int) {
	if useAVX512 {
		expAVX512(dst, x, n)
	} else {
		expAVX2(dst, x, n)
	}
}

func expSumAsm(dst, x *float32, a, c float32, n int) float32 {
	if useAVX512 {
		return expSumAVX512(dst, x, a, c, n)
	}
	return expSumAVX2(dst, x, a, c, n)
}

func sigmoidAsm(dst, x *float32, n int) {
	if useAVX512 {
		sigmoidAVX512(dst, x, n)
	} else {
		sigmoidAVX2(dst, x, n)
	}
}

func siluAsm(dst, x *float32, n int) {
	if useAVX512 {
		siluAVX512(dst, x, n)
	} else {
		siluAVX2(dst, x, n)
	}
}

func softplusAsm(dst, x *float32, n int) {
	if useAVX512 {
		softplusAVX512(dst, x, n)
	} else {
		softplusAVX2(dst, x, n)
	}
}

func siluMulAsm(dst, x, y *float32, n int) {
	if useAVX512 {
		siluMulAVX512(dst, x, y, n)
	} else {
		siluMulAVX2(dst, x, y, n)
	}
}

func reluAsm(dst, x *float32, n int) {
	if useAVX512 {
		reluAVX512(dst, x, n)
	} else {
		reluAVX2(dst, x, n)
	}
}

func relu2Asm(dst, x *float32, n int) {
	if useAVX512 {
		relu2AVX512(dst, x, n)
	} else {
		relu2AVX2(dst, x, n)
	}
}

func fmaAsm(dst, x, y, z *float32, n int) {
	if useAVX512 {
		fmaAVX512(dst, x, y, z, n)
	} else {
		fmaAVX2(dst, x, y, z, n)
	}
}

func lerpAsm(dst, x, y, w *float32, n int) {
	if useAVX512 {
		lerpAVX512(dst, x, y, w, n)
	} else {
		lerpAVX2(dst, x, y, w, n)
	}
}

func axpyToAsm(dst, x, y *float32, a float32, n int) {
	if useAVX512 {
		axpyToAVX512(dst, x, y, a, n)
	} else {
		axpyToAVX2(dst, x, y, a, n)
	}
}

func addAsm(dst, x, y *float32, n int) {
	if useAVX512 {
		addAVX512(dst, x, y, n)
	} else {
		addAVX2(dst, x, y, n)
	}
}

func subAsm(dst, x, y *float32, n int) {
	if useAVX512 {
		subAVX512(dst, x, y, n)
	} else {
		subAVX2(dst, x, y, n)
	}
}

func mulAsm(dst, x, y *float32, n int) {
	if useAVX512 {
		mulAVX512(dst, x, y, n)
	} else {
		mulAVX2(dst, x, y, n)
	}
}

func divAsm(dst, x, y *float32, n int) {
	if useAVX512 {
		divAVX512(dst, x, y, n)
	} else {
		divAVX2(dst, x, y, n)
	}
}

func mulAddAsm(dst, x, y *float32, n int) {
	if useAVX512 {
		mulAddAVX512(dst, x, y, n)
	} else {
		mulAddAVX2(dst, x, y, n)
	}
}

func axpyAsm(dst, x *float32, a float32, n int) {
	if useAVX512 {
		axpyAVX512(dst, x, a, n)
	} else {
		axpyAVX2(dst, x, a, n)
	}
}

func scaleAsm(dst, x *float32, a float32, n int) {
	if useAVX512 {
		scaleAVX512(dst, x, a, n)
	} else {
		scaleAVX2(dst, x, a, n)
	}
}

func offsetAsm(dst, x *float32, a float32, n int) {
	if useAVX512 {
		offsetAVX512(dst, x, a, n)
	} else {
		offsetAVX2(dst, x, a, n)
	}
}

func dotAsm(x, y *float32, n int) float32 {
	if useAVX512 {
		return dotAVX512(x, y, n)
	}
	return dotAVX2(x, y, n)
}

func sumAsm(x *float32, n int) float32 {
	if useAVX512 {
		return sumAVX512(x, n)
	}
	return sumAVX2(x, n)
}

func maxAsm(x *float32, n int) float32 {
	if useAVX512 {
		return maxAVX512(x, n)
	}
	return maxAVX2(x, n)
}

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
func reluAVX512(dst, x *float32, n int)

//go:noescape
func reluAVX2(dst, x *float32, n int)

//go:noescape
func relu2AVX512(dst, x *float32, n int)

//go:noescape
func relu2AVX2(dst, x *float32, n int)

//go:noescape
func fmaAVX512(dst, x, y, z *float32, n int)

//go:noescape
func fmaAVX2(dst, x, y, z *float32, n int)

//go:noescape
func expSumAVX512(dst, x *float32, a, c float32, n int) float32

//go:noescape
func expSumAVX2(dst, x *float32, a, c float32, n int) float32

//go:noescape
func lerpAVX512(dst, x, y, z *float32, n int)

//go:noescape
func lerpAVX2(dst, x, y, z *float32, n int)

//go:noescape
func axpyToAVX512(dst, x, y *float32, a float32, n int)

//go:noescape
func axpyToAVX2(dst, x, y *float32, a float32, n int)

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

func tanhAsm(dst, x *float32, n int) {
	if useAVX512 {
		tanhAVX512(dst, x, n)
	} else {
		tanhAVX2(dst, x, n)
	}
}

//go:noescape
func tanhAVX512(dst, x *float32, n int)

//go:noescape
func tanhAVX2(dst, x *float32, n int)

func geluTanhAsm(dst, x *float32, n int) {
	if useAVX512 {
		geluTanhAVX512(dst, x, n)
	} else {
		geluTanhAVX2(dst, x, n)
	}
}

//go:noescape
func geluTanhAVX512(dst, x *float32, n int)

//go:noescape
func geluTanhAVX2(dst, x *float32, n int)

func geluAsm(dst, x *float32, n int) {
	if useAVX512 {
		geluAVX512(dst, x, n)
	} else {
		geluAVX2(dst, x, n)
	}
}

//go:noescape
func geluAVX512(dst, x *float32, n int)

//go:noescape
func geluAVX2(dst, x *float32, n int)

func logAsm(dst, x *float32, n int) {
	if useAVX512 {
		logAVX512(dst, x, n)
	} else {
		logAVX2(dst, x, n)
	}
}

//go:noescape
func logAVX512(dst, x *float32, n int)

//go:noescape
func logAVX2(dst, x *float32, n int)

func log1pAsm(dst, x *float32, n int) {
	if useAVX512 {
		log1pAVX512(dst, x, n)
	} else {
		log1pAVX2(dst, x, n)
	}
}

//go:noescape
func log1pAVX512(dst, x *float32, n int)

//go:noescape
func log1pAVX2(dst, x *float32, n int)

func sigmoidGradAsm(dst, dy, x *float32, n int) {
	if useAVX512 {
		sigmoidGradAVX512(dst, dy, x, n)
	} else {
		sigmoidGradAVX2(dst, dy, x, n)
	}
}

//go:noescape
func sigmoidGradAVX512(dst, dy, x *float32, n int)

//go:noescape
func sigmoidGradAVX2(dst, dy, x *float32, n int)

func siluGradAsm(dst, dy, x *float32, n int) {
	if useAVX512 {
		siluGradAVX512(dst, dy, x, n)
	} else {
		siluGradAVX2(dst, dy, x, n)
	}
}

//go:noescape
func siluGradAVX512(dst, dy, x *float32, n int)

//go:noescape
func siluGradAVX2(dst, dy, x *float32, n int)

func softplusGradAsm(dst, dy, x *float32, n int) {
	if useAVX512 {
		softplusGradAVX512(dst, dy, x, n)
	} else {
		softplusGradAVX2(dst, dy, x, n)
	}
}

//go:noescape
func softplusGradAVX512(dst, dy, x *float32, n int)

//go:noescape
func softplusGradAVX2(dst, dy, x *float32, n int)

func tanhGradAsm(dst, dy, x *float32, n int) {
	if useAVX512 {
		tanhGradAVX512(dst, dy, x, n)
	} else {
		tanhGradAVX2(dst, dy, x, n)
	}
}

//go:noescape
func tanhGradAVX512(dst, dy, x *float32, n int)

//go:noescape
func tanhGradAVX2(dst, dy, x *float32, n int)

func geluGradAsm(dst, dy, x *float32, n int) {
	if useAVX512 {
		geluGradAVX512(dst, dy, x, n)
	} else {
		geluGradAVX2(dst, dy, x, n)
	}
}

//go:noescape
func geluGradAVX512(dst, dy, x *float32, n int)

//go:noescape
func geluGradAVX2(dst, dy, x *float32, n int)

func geluTanhGradAsm(dst, dy, x *float32, n int) {
	if useAVX512 {
		geluTanhGradAVX512(dst, dy, x, n)
	} else {
		geluTanhGradAVX2(dst, dy, x, n)
	}
}

//go:noescape
func geluTanhGradAVX512(dst, dy, x *float32, n int)

//go:noescape
func geluTanhGradAVX2(dst, dy, x *float32, n int)

func relu2GradAsm(dst, dy, x *float32, n int) {
	if useAVX512 {
		relu2GradAVX512(dst, dy, x, n)
	} else {
		relu2GradAVX2(dst, dy, x, n)
	}
}

//go:noescape
func relu2GradAVX512(dst, dy, x *float32, n int)

//go:noescape
func relu2GradAVX2(dst, dy, x *float32, n int)
