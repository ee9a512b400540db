package admin

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write openapi.json and docs/openapi.json anew")

// TestOpenAPI holds the description to the code: each operation of the table with
// its request, its response and its comment. docs/openapi.json is a copy.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	want := describe(t)
	for _, file := range []string{"openapi.json", "../docs/openapi.json"} {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code says (%v): go test ./admin -run OpenAPI -update", file, err)
		}
	}
}

// TestServeOpenAPI gets the description over HTTP.
func TestServeOpenAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resp, err := http.Get(w.url + "/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	for operation := range w.api.operations() {
		if doc.Paths["/v1/"+operation]["post"] == nil {
			t.Errorf("%s is not described", operation)
		}
	}
	if len(doc.Paths) != len(w.api.operations()) || doc.OpenAPI != "3.1.0" {
		t.Errorf("%d paths, %d operations, OpenAPI %s", len(doc.Paths), len(w.api.operations()), doc.OpenAPI)
	}
}

// object is a JSON object. Its keys are written in the order of the alphabet.
type object = map[string]any

// describer makes the description.
type describer struct {
	t       *testing.T
	fset    *token.FileSet
	methods map[string]string            // comments of the methods of API
	types   map[string]map[string]string // comments of types' fields, by package and type; "" is that of the type
	schemas object
}

func describe(t *testing.T) []byte {
	d := &describer{t: t, fset: token.NewFileSet(), methods: map[string]string{}, types: map[string]map[string]string{}, schemas: object{}}
	table := d.parse(".")
	d.schemas["Error"] = d.structure(reflect.TypeFor[Error]())
	paths := object{}
	for name, fn := range table {
		paths["/v1/"+name] = object{"post": d.operation(name, fn)}
	}
	doc := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "tripost", "version": "1",
			"description": "What an administrator can ask of the server, on the socket DATA/control.sock. Every operation is a POST of a JSON object, which may be left out where nothing in it is required.",
		},
		"paths":      paths,
		"components": object{"schemas": d.schemas},
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(doc); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// parse reads the sources in a directory: comments, and the method behind each
// operation of the table if it is there.
func (d *describer) parse(dir string) map[string]string {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		d.t.Fatalf("there are no sources in %s (%v)", dir, err)
	}
	table := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(d.fset, name, nil, parser.ParseComments)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv != nil {
					d.methods[decl.Name.Name] = text(decl.Doc)
				}
				if decl.Name.Name == "operations" {
					d.table(decl, table)
				}
			case *ast.GenDecl:
				d.typeComments(file.Name.Name, decl)
			}
		}
	}
	return table
}

// table reads the table of operations.
func (d *describer) table(fn *ast.FuncDecl, table map[string]string) {
	ast.Inspect(fn, func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(kv.Key.(*ast.BasicLit).Value)
		if err != nil {
			d.t.Fatal(err)
		}
		method := ""
		ast.Inspect(kv.Value, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				method = s.Sel.Name
			}
			return true
		})
		table[name] = method
		return false
	})
}

func (d *describer) typeComments(pkg string, decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		ts, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		doc := ts.Doc
		if doc == nil {
			doc = decl.Doc
		}
		comments := map[string]string{"": text(doc)}
		if st, ok := ts.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					comments[n.Name] = strings.TrimSpace(text(f.Doc) + " " + text(f.Comment))
				}
			}
		}
		d.types[pkg+"."+ts.Name.Name] = comments
	}
}

// text is a comment in one line.
func text(c *ast.CommentGroup) string {
	return strings.NewReplacer("[", "", "]", "").Replace(strings.Join(strings.Fields(c.Text()), " "))
}

// carriers are the operations whose request or response is mail.
var carriers = map[string]struct{ request, response reflect.Type }{
	"importMbox": {reflect.TypeFor[MailboxRequest](), reflect.TypeFor[ImportInfo]()},
	"exportMbox": {reflect.TypeFor[MailboxRequest](), nil},
}

func (d *describer) operation(name, method string) object {
	failed := func(why string) object {
		return object{"description": why, "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}}}}
	}
	noun, _, _ := strings.Cut(name, "/")
	comment := d.methods[method]
	if comment == "" {
		d.t.Errorf("%s: the method %s has no comment", name, method)
	}
	op := object{"operationId": strings.ReplaceAll(name, "/", "-"), "tags": []string{noun}, "description": comment}
	mbox := object{"application/mbox": object{"schema": object{"type": "string", "format": "binary"}}}
	var answer object
	if c, ok := carriers[method]; ok {
		op["parameters"] = []object{{"name": "request", "in": "query", "required": true,
			"content": object{"application/json": object{"schema": d.schema(c.request)}}}}
		if answer = mbox; c.response != nil {
			op["requestBody"] = object{"content": mbox}
			answer = object{"application/json": object{"schema": d.schema(c.response)}}
		}
	} else {
		fn, ok := reflect.TypeFor[*API]().MethodByName(method)
		var of reflect.Type
		if ok {
			of = fn.Type
		} else if method == "queueOrder" {
			of = reflect.TypeOf((*API)(nil).queueOrder(""))
		} else {
			d.t.Fatalf("%s: there is no method %s", name, method)
		}
		if in := of.In(of.NumIn() - 1); in != reflect.TypeFor[None]() {
			op["requestBody"] = object{"content": object{"application/json": object{"schema": d.schema(in)}}}
		}
		answer = object{"application/json": object{"schema": d.schema(of.Out(0))}}
	}
	op["responses"] = object{
		"200": object{"description": "Done.", "content": answer},
		"400": failed("It cannot be done as asked."),
		"500": failed("The server failed."),
	}
	return op
}

// schema describes a type: a named structure by a reference.
func (d *describer) schema(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface:
		return object{}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Struct:
		name := t.Name()
		if path := t.PkgPath(); !strings.HasSuffix(path, "/admin") {
			name = filepath.Base(path) + "." + name
		}
		if d.schemas[name] == nil {
			d.schemas[name] = object{} // it may hold itself
			d.schemas[name] = d.structure(t)
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	d.t.Fatalf("%v has no description", t)
	return nil
}

// structure describes the fields of a structure.
func (d *describer) structure(t reflect.Type) object {
	pkg := filepath.Base(t.PkgPath())
	if d.types[pkg+"."+t.Name()] == nil {
		d.parse(filepath.Join("..", strings.TrimPrefix(t.PkgPath(), "tripost/")))
	}
	comments := d.types[pkg+"."+t.Name()]
	properties, required := object{}, []string{}
	d.fields(t, comments, properties, &required)
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if comments[""] != "" {
		s["description"] = comments[""]
	}
	if slices.Sort(required); len(required) > 0 {
		s["required"] = required
	}
	return s
}

func (d *describer) fields(t reflect.Type, comments map[string]string, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			inner := d.structure(f.Type)
			maps.Copy(properties, inner["properties"].(object))
			if more, ok := inner["required"].([]string); ok {
				*required = append(*required, more...)
			}
			continue
		case tag == "-", !f.IsExported():
			continue
		case tag == "":
			tag = f.Name
		}
		p := d.schema(f.Type)
		if c := comments[f.Name]; c != "" {
			p["description"] = c
		}
		properties[tag] = p
		if !strings.Contains(options, "omit") {
			*required = append(*required, tag)
		}
	}
}
