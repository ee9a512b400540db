package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// The chart's measures, in pixels.
const (
	chartWidth = 960
	chartLabel = 400 // where the bars begin
	chartRight = 60  // room for the last number
	chartRow   = 18
	chartHead  = 30 // a run's title
	chartTop   = 62
)

// chartStyle suits light and dark pages. Where a viewer does not say which it is, the
// picture has a light ground of its own.
const chartStyle = `
.ground { fill: #ffffff; }
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 15px; }
.run { font-weight: 600; }
.small { font-size: 11px; fill: #57606a; }
.ahead { fill: #2da44e; }
.behind { fill: #cf222e; }
.grid { stroke: #afb8c1; stroke-width: 1; stroke-dasharray: 2 4; }
.even { stroke: #57606a; stroke-width: 1.5; }
.goal { stroke: #0969da; stroke-width: 3; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; }
  text { fill: #e6edf3; }
  .small { fill: #9198a1; }
  .ahead { fill: #3fb950; }
  .behind { fill: #f85149; }
  .grid { stroke: #3d444d; }
  .even { stroke: #9198a1; }
  .goal { stroke: #58a6ff; }
}
`

// chart draws the ratio of each figure that has another server beside it, as a bar
// from "even" to the right where we are ahead and to the left where we are not.
// The scale is logarithmic: twice and half are equally far from even.
func (r *report) chart() []byte {
	low, high := 0.5, 8.0
	rows, heads := 0, 0
	for _, s := range sections() {
		n := 0
		for _, f := range r.figuresOf(s.run) {
			low, high = min(low, f.ratio()), max(high, f.ratio())
			n++
		}
		rows += n
		heads += min(n, 1)
	}
	height := chartTop + heads*chartHead + rows*chartRow + 16
	c := &canvas{low: math.Log2(low) - 0.1, high: math.Log2(high) + 0.1, bottom: height - 12}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">`+"\n", chartWidth, height)
	fmt.Fprintf(&c.b, "<title>tripost beside other servers</title>\n<style>%s</style>\n", chartStyle)
	fmt.Fprintf(&c.b, `<rect class="ground" width="%d" height="%d"/>`+"\n", chartWidth, height)
	c.text(12, 22, "title", "start", "tripost: rates as ratios to the best of the others")
	c.scale()
	y := chartTop
	for _, s := range sections() {
		figures := r.figuresOf(s.run)
		if len(figures) > 0 {
			c.text(12, y+20, "run", "start", s.title)
			y += chartHead
		}
		for _, f := range figures {
			c.bar(y, s.run, f)
			y += chartRow
		}
	}
	c.b.WriteString("</svg>\n")
	return c.b.Bytes()
}

// figuresOf returns a run's figures that have another server's beside them.
func (r *report) figuresOf(run string) []figure {
	var list []figure
	if result := r.Results[run]; result != nil {
		for _, f := range result.Figures {
			if f.ratio() > 0 {
				list = append(list, f)
			}
		}
	}
	return list
}

// canvas is the picture while it is drawn; low and high are the logarithms of the
// ratios at the ends of its scale.
type canvas struct {
	b         bytes.Buffer
	low, high float64
	bottom    int
}

// x returns where a ratio stands.
func (c *canvas) x(ratio float64) float64 {
	return chartLabel + (math.Log2(ratio)-c.low)/(c.high-c.low)*(chartWidth-chartLabel-chartRight)
}

func (c *canvas) scale() {
	for _, ratio := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000} {
		if l := math.Log2(ratio); l < c.low || l > c.high {
			continue
		}
		class, words := "grid", fmt.Sprintf("%gx", ratio)
		if ratio == 1 {
			class, words = "even", "even"
		}
		fmt.Fprintf(&c.b, `<line class="%s" x1="%.1f" y1="%d" x2="%[2]f" y2="%[4]d"/>`+"\n", class, c.x(ratio), chartTop-6, c.bottom)
		c.text(c.x(ratio), chartTop-12, "small", "middle", words)
	}
	c.text(chartWidth-8, 22, "small", "end", "blue: what is asked")
}

func (c *canvas) bar(y int, run string, f figure) {
	ratio, one := f.ratio(), c.x(1)
	at, class := c.x(ratio), "ahead"
	if ratio < 1 {
		class = "behind"
	}
	c.text(chartLabel-8, y+13, "", "end", f.What)
	fmt.Fprintf(&c.b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d" rx="2"/>`+"\n", class, min(one, at), y+3, math.Abs(at-one), chartRow-6)
	end := max(one, at)
	if g, _ := goalOf(run, f.What); g.times > 1 {
		fmt.Fprintf(&c.b, `<line class="goal" x1="%.1f" y1="%d" x2="%[1]f" y2="%[3]d"/>`+"\n", c.x(g.times), y+1, y+chartRow-1)
		if goal := c.x(g.times); goal > end-5 && goal < end+35 {
			end = goal // the number does not hide it
		}
	}
	c.text(end+5, y+13, "small", "start", decimal(ratio))
}

func (c *canvas) text(x any, y int, class, anchor, words string) {
	fmt.Fprintf(&c.b, `<text x="%v" y="%d" class="%s" text-anchor="%s">`, x, y, class, anchor)
	_ = xml.EscapeText(&c.b, []byte(words)) // a buffer takes all
	c.b.WriteString("</text>\n")
}
