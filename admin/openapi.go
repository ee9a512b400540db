package admin

import (
	_ "embed"
	"net/http"
)

// openAPI describes all operations: OpenAPI 3.1. A test makes it from the code.
//
//go:embed openapi.json
var openAPI []byte

// serveOpenAPI answers with the description.
func serveOpenAPI(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(openAPI) // the client has gone if this fails
}
