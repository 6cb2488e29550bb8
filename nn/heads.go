package nn

import "github.com/subquad/subquad/tensor"

// RepeatHeads makes heads of x [B, T, G, D] side by side, each head of x H/G times:
// keys and values that several queries' heads share.
func RepeatHeads(x *tensor.Tensor, H int) *tensor.Tensor {
	B, T, G, D := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	if G == H {
		return x
	}
	times := H / G
	y := tensor.Out("nn.RepeatHeads", []int{B, T, H, D}, x)
	if y.IsFloat64() {
		in, out := x.Values64(), make([]float64, 0, y.Len())
		for ; len(in) > 0; in = in[D:] {
			for range times {
				out = append(out, in[:D]...)
			}
		}
		y.SetValues64(out)
		return y
	}
	x = tensor.Contiguous(x)
	src, dst := x.Data(), y.Data()
	for i := range B * T * H {
		copy(dst[i*D:(i+1)*D], src[i/times*D:])
	}
	if y.Recording() {
		in := x
		tensor.OnBackward(func() {
			dx, dy := in.Grad().Data(), y.Grad().Data()
			for i := range B * T * H {
				to := dx[i/times*D:][:D]
				for j, g := range dy[i*D:][:D] {
					to[j] += g
				}
			}
		}, y)
	}
	return y
}
