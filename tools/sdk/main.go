// Writes the SDKs for Python and Go with the engine's own code generators: `main SCHEMA FOLDER`, where SCHEMA has the version,
// and FOLDER gets python/ and go/. tools/sdk/generate.ts compiles and calls this program.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	gogen "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	pygen "github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const tool = "npm run sdk"

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: %s SCHEMA FOLDER", os.Args[0]))
	}
	text, err := os.ReadFile(os.Args[1])
	fail(err)

	pkg := bind(text)
	files, err := pygen.GeneratePackage(tool, pkg, nil, nil)
	fail(err)
	for name, content := range files {
		write(filepath.Join(os.Args[2], "python", name), renameUnits(name, content))
	}

	pkg = bind(text)
	files, err = gogen.GeneratePackage(tool, pkg, nil)
	fail(err)
	for name, content := range files {
		write(filepath.Join(os.Args[2], "go", name), content)
	}
}

func bind(text []byte) *schema.Package {
	var spec schema.PackageSpec
	fail(json.Unmarshal(text, &spec))
	pkg, diagnostics, err := schema.BindSpec(spec, schema.NewNullLoader(), schema.ValidationOptions{})
	fail(err)
	if len(diagnostics) > 0 {
		fail(fmt.Errorf("the schema is not well-formed: %v", diagnostics))
	}
	return pkg
}

// The generator splits a name before each capital letter (pulumi/pulumi pkg/codegen/python/python.go:174) and a schema can't
// name a property for Python: it makes size_gi_b of sizeGiB. The names of the wire stay, as they are in strings of their own.
var unit = regexp.MustCompile(`\b([a-z]\w*)_gi_b\b`)

func renameUnits(name string, content []byte) []byte {
	if !strings.HasSuffix(name, ".py") {
		return content
	}
	return unit.ReplaceAll(content, []byte("${1}_gib"))
}

func write(file string, content []byte) {
	fail(os.MkdirAll(filepath.Dir(file), 0o755))
	fail(os.WriteFile(file, content, 0o644))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
