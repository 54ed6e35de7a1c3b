// Uploads pictures as Go programs do: `go run send.go mime/multipart URL FILE...`. Prints the version, then the answer.
package main

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func write(form *multipart.Writer, out io.Closer) {
	must(form.WriteField("metadata", `{"order": "Tür 7"}`))
	must(form.WriteField("model", ""))
	must(form.WriteField("no_cache", fmt.Sprint(true)))
	for _, path := range os.Args[3:] {
		file, err := os.Open(path)
		must(err)
		part, err := form.CreateFormFile("files", filepath.Base(path))
		must(err)
		_, err = io.Copy(part, file)
		must(err)
		must(file.Close())
	}
	must(form.Close())
	must(out.Close())
}

// The body is written while it is sent, so it has no length and goes in chunks.
func main() {
	body, out := io.Pipe()
	form := multipart.NewWriter(out)
	go write(form, out)
	answer, err := http.Post(os.Args[2], form.FormDataContentType(), body)
	must(err)
	fmt.Println(runtime.Version())
	_, err = io.Copy(os.Stdout, answer.Body)
	must(err)
}
