package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// readRows reads the rows of an announcement: JSON, text/csv, or a form with a CSV file.
func readRows(contentType string, body []byte) (rows, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil && contentType != "" {
		return nil, errors.New("content type: is none")
	}
	switch kind {
	case "text/csv":
		return csvRows(body, params["charset"])
	case "multipart/form-data":
		return formRows(body, params["boundary"])
	}
	var all rows
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, err
	}
	return all, nil
}

// formRows reads the first file of a form.
func formRows(body []byte, boundary string) (rows, error) {
	form := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, errors.New("form: has no file")
		}
		if part.FileName() == "" {
			continue
		}
		b, err := io.ReadAll(part) // bounded as the body is
		if err != nil {
			return nil, errors.New("form: its file is cut off")
		}
		_, params, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		return csvRows(b, params["charset"])
	}
}

// columns are the fields of a row by the words of a header.
var columns = map[string]string{
	"waybill": "waybill", "运单号": "waybill", "单号": "waybill", "快递单号": "waybill",
	"order": "order", "订单号": "order", "订单": "order",
	"epc": "epc", "标签": "epc", "电子标签": "epc",
	"direction": "direction", "方向": "direction",
	"site": "site", "站点": "site", "服务站": "site", "网点": "site",
	"locker": "locker", "智能柜": "locker", "柜": "locker",
	"handling": "handling", "温区": "handling", "货物类型": "handling",
	"size": "size", "规格": "size", "尺寸": "size",
	"consent": "consent", "同意入柜": "consent", "入柜": "consent",
	"wish": "wish", "投递方式": "wish", "送达方式": "wish",
	"hold": "hold", "暂扣": "hold", "扣留": "hold",
	"pieces": "pieces", "件数": "pieces",
	"name": "recipient.name", "recipient": "recipient.name", "收件人": "recipient.name", "姓名": "recipient.name",
	"phone": "recipient.phone", "mobile": "recipient.phone", "手机": "recipient.phone", "手机号": "recipient.phone", "电话": "recipient.phone",
	"village": "recipient.village", "村": "recipient.village", "村庄": "recipient.village",
	"address": "recipient.address", "地址": "recipient.address", "收件地址": "recipient.address",
	"email": "recipient.email", "邮箱": "recipient.email",
	"lang": "recipient.lang", "language": "recipient.lang", "语言": "recipient.lang",
}

// values are the words of cells that stand for others, by field.
var values = map[string]map[string]string{
	"direction": {"派件": "inbound", "下行": "inbound", "寄件": "outbound", "上行": "outbound"},
	"handling":  {"常温": "ambient", "冷藏": "chilled", "冷冻": "frozen", "易碎": "fragile"},
	"size":      {"小": "s", "中": "m", "大": "l"},
	"consent":   {"是": "yes", "同意": "yes", "否": "no", "不同意": "no", "未知": "unknown"},
	"wish":      {"入柜": "locker", "智能柜": "locker", "放智能柜": "locker", "自提": "station", "放服务站": "station", "送到家": "home", "送货上门": "home", "上门": "home"},
	"hold":      {"是": "true", "否": "false", "yes": "true", "no": "false", "1": "true", "0": "false"},
}

// csvRows reads a CSV file (RFC 4180) with a header. A cell that is empty is absent. A row that can't be read is
// an object with what was read of it, or null.
func csvRows(b []byte, charset string) (rows, error) {
	b, err := utf8Of(b, charset)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.LazyQuotes = -1, true, true
	if head, _, _ := bytes.Cut(b, []byte("\n")); bytes.Count(head, []byte(";")) > bytes.Count(head, []byte(",")) {
		r.Comma = ';'
	}
	head, err := r.Read()
	if err != nil {
		return nil, errors.New("csv: has no header")
	}
	fields := make([]string, len(head))
	for i, name := range head {
		f, ok := columns[strings.ToLower(strings.TrimSpace(name))]
		if !ok {
			return nil, fmt.Errorf("csv: the header's column %d, %.40q, is not known", i+1, name)
		}
		fields[i] = f
	}
	var out rows
	for {
		cells, err := r.Read()
		switch {
		case errors.Is(err, io.EOF) && len(out) == 0:
			return nil, errors.New("csv: has no row below its header")
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("csv: %w", err)
		case len(out) == maxRows:
			return nil, fmt.Errorf("csv: has more than %d rows", maxRows)
		}
		out = append(out, rowOf(fields, cells))
	}
}

// rowOf is a row as the JSON that it would be.
func rowOf(fields, cells []string) json.RawMessage {
	row, person := map[string]any{}, map[string]any{}
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		if cell == "" {
			continue
		}
		if i >= len(fields) {
			row[fmt.Sprintf("column %d", i+1)] = cell // is refused, for no field is called so
			continue
		}
		field := fields[i]
		if v, ok := values[field][strings.ToLower(cell)]; ok {
			cell = v
		}
		if f, ok := strings.CutPrefix(field, "recipient."); ok {
			person[f] = cell
			continue
		}
		row[field] = cellOf(field, cell)
	}
	if len(person) > 0 {
		row["recipient"] = person
	}
	b, _ := json.Marshal(row) // strings, numbers and booleans always marshal
	return b
}

func cellOf(field, cell string) any {
	switch field {
	case "hold":
		if v, err := strconv.ParseBool(strings.ToLower(cell)); err == nil {
			return v
		}
	case "pieces":
		if n, err := strconv.Atoi(cell); err == nil {
			return n
		}
	case "waybill":
		return strings.ToUpper(cell)
	}
	return cell
}

// utf8Of brings a text into UTF-8: what isn't is GB18030, as spreadsheets in China save it.
func utf8Of(b []byte, charset string) ([]byte, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	switch charset = strings.ToLower(charset); charset {
	case "", "utf-8", "utf8":
		if utf8.Valid(b) {
			return b, nil
		}
	case "gb18030", "gbk", "gb2312":
	default:
		return nil, fmt.Errorf("charset: %.20q is neither utf-8 nor gb18030", charset)
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return nil, errors.New("text: is neither UTF-8 nor GB18030")
	}
	return out, nil
}

// announceBody describes what may be announced.
func announceBody(r huma.Registry) *huma.RequestBody {
	file := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"file": {Type: huma.TypeString, Format: "binary"}}}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":    {Schema: rows{}.Schema(r)},
		"text/csv":            {Schema: &huma.Schema{Type: huma.TypeString, Description: "a header of waybill, site, handling, size, consent, wish, hold, direction, order, pieces, epc, locker, name, phone, village, address, lang"}},
		"multipart/form-data": {Schema: file},
	}}
}
