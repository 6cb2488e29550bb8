//go:build purego || !(amd64 || arm64)

package vec

const useAsm = false

func expAsm(dst, x *float32, n int) { panic("vec: no assembly") }
func expSumAsm(dst, x *float32, a, c float32, n int) float32 {
	panic("vec: no assembly")
}
func sigmoidAsm(dst, x *float32, n int)    { panic("vec: no assembly") }
func siluAsm(dst, x *float32, n int)       { panic("vec: no assembly") }
func softplusAsm(dst, x *float32, n int)   { panic("vec: no assembly") }
func siluMulAsm(dst, x, y *float32, n int) { panic("vec: no assembly") }
func reluAsm(dst, x *float32, n int)       { panic("vec: no assembly") }
func relu2Asm(dst, x *float32, n int)      { panic("vec: no assembly") }
func lerpAsm(dst, x, y, w *float32, n int) { panic("vec: no assembly") }
func axpyToAsm(dst, x, y *float32, a float32, n int) {
	panic("vec: no assembly")
}
func fmaAsm(dst, x, y, z *float32, n int)         { panic("vec: no assembly") }
func addAsm(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func subAsm(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func mulAsm(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func divAsm(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func mulAddAsm(dst, x, y *float32, n int)         { panic("vec: no assembly") }
func axpyAsm(dst, x *float32, a float32, n int)   { panic("vec: no assembly") }
func scaleAsm(dst, x *float32, a float32, n int)  { panic("vec: no assembly") }
func offsetAsm(dst, x *float32, a float32, n int) { panic("vec: no assembly") }
func dotAsm(x, y *float32, n int) float32         { panic("vec: no assembly") }
func sumAsm(x *float32, n int) float32            { panic("vec: no assembly") }
func maxAsm(x *float32, n int) float32            { panic("vec: no assembly") }
func tanhAsm(dst, x *float32, n int)              { panic("vec: no assembly") }
func geluTanhAsm(dst, x *float32, n int)          { panic("vec: no assembly") }
func geluAsm(dst, x *float32, n int)              { panic("vec: no assembly") }
func logAsm(dst, x *float32, n int)               { panic("vec: no assembly") }
func log1pAsm(dst, x *float32, n int)             { panic("vec: no assembly") }
func sigmoidGradAsm(dst, dy, x *float32, n int)   { panic("vec: no assembly") }
func siluGradAsm(dst, dy, x *float32, n int)      { panic("vec: no assembly") }
func softplusGradAsm(dst, dy, x *float32, n int)  { panic("vec: no assembly") }
func tanhGradAsm(dst, dy, x *float32, n int)      { panic("vec: no assembly") }
func geluGradAsm(dst, dy, x *float32, n int)      { panic("vec: no assembly") }
func geluTanhGradAsm(dst, dy, x *float32, n int)  { panic("vec: no assembly") }
func relu2GradAsm(dst, dy, x *float32, n int)     { panic("vec: no assembly") }
