//go:build purego || !amd64

package vec

func expAVX512(dst, x *float32, n int)               { panic("vec: no assembly") }
func expAVX2(dst, x *float32, n int)                 { panic("vec: no assembly") }
func sigmoidAVX512(dst, x *float32, n int)           { panic("vec: no assembly") }
func sigmoidAVX2(dst, x *float32, n int)             { panic("vec: no assembly") }
func siluAVX512(dst, x *float32, n int)              { panic("vec: no assembly") }
func siluAVX2(dst, x *float32, n int)                { panic("vec: no assembly") }
func siluMulAVX512(dst, x, y *float32, n int)        { panic("vec: no assembly") }
func siluMulAVX2(dst, x, y *float32, n int)          { panic("vec: no assembly") }
func softplusAVX512(dst, x *float32, n int)          { panic("vec: no assembly") }
func softplusAVX2(dst, x *float32, n int)            { panic("vec: no assembly") }
func addAVX512(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func addAVX2(dst, x, y *float32, n int)              { panic("vec: no assembly") }
func subAVX512(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func subAVX2(dst, x, y *float32, n int)              { panic("vec: no assembly") }
func mulAVX512(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func mulAVX2(dst, x, y *float32, n int)              { panic("vec: no assembly") }
func divAVX512(dst, x, y *float32, n int)            { panic("vec: no assembly") }
func divAVX2(dst, x, y *float32, n int)              { panic("vec: no assembly") }
func mulAddAVX512(dst, x, y *float32, n int)         { panic("vec: no assembly") }
func mulAddAVX2(dst, x, y *float32, n int)           { panic("vec: no assembly") }
func axpyAVX512(dst, x *float32, a float32, n int)   { panic("vec: no assembly") }
func axpyAVX2(dst, x *float32, a float32, n int)     { panic("vec: no assembly") }
func scaleAVX512(dst, x *float32, a float32, n int)  { panic("vec: no assembly") }
func scaleAVX2(dst, x *float32, a float32, n int)    { panic("vec: no assembly") }
func offsetAVX512(dst, x *float32, a float32, n int) { panic("vec: no assembly") }
func offsetAVX2(dst, x *float32, a float32, n int)   { panic("vec: no assembly") }
func dotAVX512(x, y *float32, n int) float32         { panic("vec: no assembly") }
func dotAVX2(x, y *float32, n int) float32           { panic("vec: no assembly") }
func sumAVX512(x *float32, n int) float32            { panic("vec: no assembly") }
func sumAVX2(x *float32, n int) float32              { panic("vec: no assembly") }
func maxAVX512(x *float32, n int) float32            { panic("vec: no assembly") }
func maxAVX2(x *float32, n int) float32              { panic("vec: no assembly") }
