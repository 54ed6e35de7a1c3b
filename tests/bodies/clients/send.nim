# Uploads pictures as Nim programs do: `send httpclient URL FILE...`. Prints the version, then the answer.
import std/[httpclient, mimetypes, os]

let arguments = commandLineParams()
var form = newMultipartData({"metadata": "{\"order\": \"Tür 7\"}", "model": "", "no_cache": $true})
for path in arguments[2 .. ^1]:
  form.add("files", readFile(path), extractFilename(path), newMimetypes().getMimetype("png"), useStream = false)
let client = newHttpClient()
echo "Nim ", NimVersion
echo client.request(arguments[1], HttpPost, multipart = form).body
