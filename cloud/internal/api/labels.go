package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"yizhan/cloud/internal/county"
)

// Labels prints parcels' labels. Its errors wrap county.ErrNoParcel and county.ErrTagDiffers where they are the asker's.
type Labels interface {
	Print(ctx context.Context, waybills []string, o county.LabelOptions) (doc []byte, absent []string, err error)
	ReadBack(ctx context.Context, waybill, read string) (epc string, err error)
}

// The formats of labels.
const (
	zplType = "application/zpl"
	pdfType = "application/pdf"
)

// printed is a document.
type printed struct {
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Absent      string `header:"X-Absent" doc:"waybills that there aren't, between commas"`
	Body        []byte
}

type labelWanted struct {
	Waybill string `path:"waybill" pattern:"^[A-Z0-9-]{6,32}$" example:"YZ2600000001"`
	Size    string `query:"size" enum:"100x150,76x130" default:"100x150" doc:"millimetres"`
	DPI     string `query:"dpi" enum:"203,300" default:"203" doc:"of the printer; a PDF has none"`
	Tag     bool   `query:"tag" default:"true" doc:"encode the parcel's tag, and give it one where it bears none"`
	QR      string `query:"qr" enum:"waybill,link" default:"waybill" doc:"link: the GS1 Digital Link of the tag"`
}

type readBack struct {
	Waybill string `path:"waybill" pattern:"^[A-Z0-9-]{6,32}$" example:"YZ2600000001"`
	Body    struct {
		Read string `json:"read" minLength:"4" maxLength:"140" example:"EPC:314024502000000004D20000" doc:"what the printer or a reader says: hex, EPC: before it or not"`
	}
}

type readBackAnswer struct {
	Waybill string `json:"waybill"`
	EPC     string `json:"epc"`
}

type labelBatch struct {
	Body struct {
		Waybills []string `json:"waybills" minItems:"1" maxItems:"200" doc:"at most 200"`
		Format   string   `json:"format,omitempty" enum:"zpl,pdf" default:"zpl"`
		Size     string   `json:"size,omitempty" enum:"100x150,76x130" default:"100x150"`
		DPI      int      `json:"dpi,omitempty" enum:"203,300" default:"203"`
		Tag      *bool    `json:"tag,omitempty" doc:"encode tags; absent is true"`
		QR       string   `json:"qr,omitempty" enum:"waybill,link" default:"waybill"`
	}
}

func (a *API) labels(h huma.API) {
	if a.cfg.Labels == nil {
		return
	}
	for _, f := range []struct{ ext, kind, what string }{{"zpl", zplType, "for a thermal printer: ZPL II, with the command that writes the parcel's tag"}, {"pdf", pdfType, "for paper"}} {
		huma.Register(h, huma.Operation{
			OperationID: "label-" + f.ext, Method: http.MethodGet, Path: Prefix + "/parcels/{waybill}/label." + f.ext, Tags: []string{"label"},
			Summary: "A parcel's label " + f.what, Errors: []int{http.StatusNotFound}, Responses: document(f.kind),
		}, func(ctx context.Context, in *labelWanted) (*printed, error) {
			o := county.LabelOptions{Size: in.Size, DPI: dots(in.DPI), PDF: f.ext == "pdf", Tags: in.Tag, Link: in.QR == "link"}
			return a.print(ctx, []string{in.Waybill}, o)
		})
	}
	huma.Register(h, huma.Operation{
		OperationID: "labels", Method: http.MethodPost, Path: Prefix + "/labels", Tags: []string{"label"},
		Summary: "Labels of many parcels, in the order asked for", Description: "X-Absent names the waybills that there aren't; 404 where that is all of them.",
		DefaultStatus: http.StatusOK, Errors: []int{http.StatusNotFound}, Responses: document(zplType, pdfType),
	}, func(ctx context.Context, in *labelBatch) (*printed, error) {
		b := in.Body
		return a.print(ctx, b.Waybills, county.LabelOptions{Size: b.Size, DPI: b.DPI, PDF: b.Format == "pdf", Tags: b.Tag == nil || *b.Tag, Link: b.QR == "link"})
	})
	huma.Register(h, huma.Operation{
		OperationID: "label-read-back", Method: http.MethodPost, Path: Prefix + "/parcels/{waybill}/label/readback", Tags: []string{"label"},
		Summary: "What a printed label's tag says", Description: "200: it is the parcel's, and that is noted. 409: it is another, or none.",
		DefaultStatus: http.StatusOK, Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.readBack)
}

// dots is a resolution that was checked.
func dots(dpi string) int {
	if dpi == "300" {
		return 300
	}
	return 203
}

func document(kinds ...string) map[string]*huma.Response {
	content := map[string]*huma.MediaType{}
	for _, k := range kinds {
		content[k] = &huma.MediaType{}
	}
	return map[string]*huma.Response{"200": {Description: "OK", Content: content}}
}

func (a *API) print(ctx context.Context, waybills []string, o county.LabelOptions) (*printed, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*storeTimeout)
	defer cancel()
	doc, absent, err := a.cfg.Labels.Print(ctx, waybills, o)
	switch {
	case errors.Is(err, county.ErrNoParcel):
		return nil, huma.Error404NotFound("no parcel has the waybill " + strings.Join(waybills, ", "))
	case err != nil:
		return nil, a.fail(ctx, "label", err)
	}
	out := &printed{Type: zplType, Disposition: `attachment; filename="labels.zpl"`, Absent: strings.Join(absent, ","), Body: doc}
	if o.PDF {
		out.Type, out.Disposition = pdfType, `inline; filename="labels.pdf"`
	}
	return out, nil
}

func (a *API) readBack(ctx context.Context, in *readBack) (*answer[readBackAnswer], error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	name, err := a.cfg.Labels.ReadBack(ctx, in.Waybill, in.Body.Read)
	switch {
	case errors.Is(err, county.ErrNoParcel):
		return nil, huma.Error404NotFound("no parcel has the waybill " + in.Waybill)
	case errors.Is(err, county.ErrTagDiffers):
		return nil, huma.Error409Conflict("body.read: is not the parcel's tag")
	case err != nil:
		return nil, a.fail(ctx, "label", err)
	}
	return reply(readBackAnswer{in.Waybill, name}), nil
}
