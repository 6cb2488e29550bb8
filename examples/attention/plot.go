package main

import (
	"bytes"
	"image/color"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A pen says how a reader's figures are drawn. Those that only another reader's
// line can be seen under are dots.
type pen struct {
	color color.Color
	style style
}

type style int

const (
	line style = iota
	dashes
	crosses
	rings
)

var (
	black = color.RGBA{0x22, 0x22, 0x22, 0xff}
	grey  = color.RGBA{0x99, 0x99, 0x99, 0xff}
	red   = color.RGBA{0xc8, 0x4b, 0x31, 0xff}
	blue  = color.RGBA{0x1f, 0x6f, 0xb4, 0xff}
)

// drawn makes a reader's line, or dots.
func (p pen) drawn(points plotter.XYs) (interface {
	plot.Plotter
	plot.Thumbnailer
}, error) {
	if p.style == crosses || p.style == rings {
		s, err := plotter.NewScatter(points)
		if err != nil {
			return nil, err
		}
		s.GlyphStyle = draw.GlyphStyle{Color: p.color, Radius: 4, Shape: draw.RingGlyph{}}
		if p.style == crosses {
			s.Shape = draw.CrossGlyph{}
		}
		return s, nil
	}
	l, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	l.Color, l.Width = p.color, 2
	if p.style == dashes {
		l.Dashes = []vg.Length{6, 4}
	}
	return l, nil
}

// picture draws the table: the share that is found over the length of the document.
func picture(list []*reader, lengths []int, table [][]float64) ([]byte, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "pairs in the document", "questions answered, %"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, doublings(lengths)
	p.Y.Min, p.Y.Max = 0, 102
	legend := plot.NewLegend()
	legend.Top, legend.Left, legend.Padding = true, true, 4
	p.Add(plotter.NewGrid())
	for i, r := range list {
		points := make(plotter.XYs, len(lengths))
		for j, n := range lengths {
			points[j] = plotter.XY{X: float64(n), Y: 100 * table[i][j]}
		}
		l, err := r.pen.drawn(points)
		if err != nil {
			return nil, err
		}
		p.Add(l)
		legend.Add(r.name, l)
	}
	const width, height, side = 10 * vg.Inch, 4 * vg.Inch, 3.9 * vg.Inch
	c := vgsvg.New(width, height)
	all := draw.New(c)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	p.Draw(draw.Crop(all, 0, -side, 0, -0.1*vg.Inch))
	legend.Draw(draw.Crop(all, width-side+0.15*vg.Inch, 0, 0, -0.1*vg.Inch))
	var b bytes.Buffer
	_, err := c.WriteTo(&b)
	return b.Bytes(), err
}

// doublings are ticks at the lengths.
type doublings []int

func (d doublings) Ticks(lo, hi float64) (ticks []plot.Tick) {
	for _, n := range d {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: strconv.Itoa(n)})
	}
	return ticks
}

func writePicture(path string, list []*reader, lengths []int, table [][]float64) error {
	svg, err := picture(list, lengths, table)
	if err != nil {
		return err
	}
	return os.WriteFile(path, svg, 0o644)
}
