package golden

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/subquad/subquad/lm/checkpoint"
	"github.com/subquad/subquad/tensor"
)

// A refCase is one file of reference vectors.
type refCase struct {
	name   string
	file   *checkpoint.File
	Op     string         `json:"op"`
	Hyper  map[string]any `json:"hyper"`
	Source string         `json:"source"`     // repository:file#name
	Noise  map[string]any `json:"f32_vs_f64"` // error of the reference's own float32 run, by tensor
}

var bareNaN = regexp.MustCompile(`([:\[,]\s*)NaN\b`)

func openCase(name, path string) (*refCase, error) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	c := &refCase{name: name, file: f}
	// Python writes NaN, for which JSON has no word.
	config := bareNaN.ReplaceAllString(f.Metadata()["config"], "${1}null")
	if err := json.Unmarshal([]byte(config), c); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: config: %w", path, err)
	}
	return c, nil
}

func (c *refCase) has(name string) bool { _, ok := c.file.Info(name); return ok }

func (c *refCase) shape(name string) []int {
	t, ok := c.file.Info(name)
	if !ok {
		panic(fmt.Sprintf("%s: no tensor %q", c.name, name))
	}
	return t.Shape
}

func (c *refCase) float64s(name string) []float64 {
	out := make([]float64, product(c.shape(name)))
	if err := c.file.Float64(name, out); err != nil {
		panic(err)
	}
	return out
}

func (c *refCase) number(key string, otherwise float64) float64 {
	if v, ok := c.Hyper[key].(float64); ok {
		return v
	}
	return otherwise
}

// tolerance is the most that a tensor may differ: base, or four times what the
// reference's own float32 run differs from its float64 run.
func (c *refCase) tolerance(name string, base float64) float64 {
	worst := 0.0
	for k, v := range c.Noise {
		e, ok := v.(float64)
		switch {
		case !ok:
		case k == name, k == "grad.* (max)" && strings.HasPrefix(name, "grad."):
			worst = max(worst, e)
		}
	}
	return max(base, 4*worst)
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// permute reorders axes: data is laid out as the letters of from, the result as those of to.
func permute(data []float64, shape []int, from, to string) ([]float64, []int) {
	if from == to {
		return data, shape
	}
	n := len(from)
	if len(shape) != n || len(to) != n {
		panic(fmt.Sprintf("shape %v is not %q", shape, from))
	}
	stride := make([]int, n)
	for i, s := n-1, 1; i >= 0; i-- {
		stride[i] = s
		s *= shape[i]
	}
	outShape, outStride := make([]int, n), make([]int, n)
	for i, l := range to {
		j := strings.IndexRune(from, l)
		outShape[i], outStride[i] = shape[j], stride[j]
	}
	out := make([]float64, len(data))
	idx := make([]int, n)
	for o := range out {
		src := 0
		for i, x := range idx {
			src += x * outStride[i]
		}
		out[o] = data[src]
		for i := n - 1; i >= 0; i-- {
			if idx[i]++; idx[i] < outShape[i] {
				break
			}
			idx[i] = 0
		}
	}
	return out, outShape
}

// sorted is the layout that this module uses for the axes of layout: batch, time, then the rest in order.
func sorted(layout string) string {
	rest := strings.NewReplacer("b", "", "t", "").Replace(layout)
	out := ""
	for _, l := range "bt" {
		if strings.ContainsRune(layout, l) {
			out += string(l)
		}
	}
	return out + rest
}

// compare is the largest difference of an element over the largest element of want.
func compare(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	scale, worst := 0.0, 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		d := math.Abs(got[i] - w)
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	if scale == 0 {
		return worst
	}
	return worst / scale
}

// heap makes a tracked heap tensor of reference values.
func heap(data []float64, shape []int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i, v := range data {
		t.Data()[i] = float32(v)
	}
	return t.Track()
}
