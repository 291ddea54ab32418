// Go's net/http, each request 100 ms later: peer PORT
package main

import (
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		time.Sleep(100 * time.Millisecond)
		response.Header().Set("Content-Type", "text/plain")
		io.WriteString(response, "Hello, World!")
	})
	http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
