// Uploads pictures as Java programs do: `java Send LIBRARY URL FILE...`. Prints the library's version, then the answer.
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

class Send {
    static final Map<String, String> FIELDS = new LinkedHashMap<>();

    public static void main(String[] arguments) throws Exception {
        FIELDS.put("metadata", "{\"order\": \"Tür 7\"}");
        FIELDS.put("model", "");
        FIELDS.put("no_cache", String.valueOf(true));
        List<File> files = new ArrayList<>();
        for (int i = 2; i < arguments.length; i++) files.add(new File(arguments[i]));
        String answer;
        switch (arguments[0]) {
            case "okhttp": answer = okHttp(arguments[1], files); break;
            case "spring": answer = spring(arguments[1], files); break;
            case "java.net.http": answer = byHand(arguments[1], files); break;
            default: answer = apache(arguments[0], arguments[1], files);
        }
        System.out.write(answer.getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    static String apache(String mode, String url, List<File> files) throws IOException {
        var form = org.apache.http.entity.mime.MultipartEntityBuilder.create()
            .setMode(org.apache.http.entity.mime.HttpMultipartMode.valueOf(mode))
            .setCharset(StandardCharsets.UTF_8);
        var text = org.apache.http.entity.ContentType.create("text/plain", StandardCharsets.UTF_8);
        // strict, with the default of its texts: ISO-8859-1
        if (mode.equals("STRICT")) FIELDS.forEach(form::addTextBody);
        else FIELDS.forEach((name, value) -> form.addTextBody(name, value, text));
        for (File file : files) form.addBinaryBody("files", file);
        var post = new org.apache.http.client.methods.HttpPost(url);
        post.setEntity(form.build());
        String version = org.apache.http.util.VersionInfo.loadVersionInfo("org.apache.http.client", Send.class.getClassLoader()).getRelease();
        try (var client = org.apache.http.impl.client.HttpClients.createDefault()) {
            return "HttpClient " + version + "\n" + org.apache.http.util.EntityUtils.toString(client.execute(post).getEntity(), "UTF-8");
        }
    }

    static String okHttp(String url, List<File> files) throws IOException {
        var form = new okhttp3.MultipartBody.Builder().setType(okhttp3.MultipartBody.FORM);
        FIELDS.forEach(form::addFormDataPart);
        for (File file : files)
            form.addFormDataPart("files", file.getName(), okhttp3.RequestBody.create(okhttp3.MediaType.get("image/png"), file));
        var client = new okhttp3.OkHttpClient();
        var request = new okhttp3.Request.Builder().url(url).post(form.build()).build();
        try (var answer = client.newCall(request).execute()) {
            return okhttp3.internal.Version.userAgent() + "\n" + answer.body().string();
        } finally {
            client.dispatcher().executorService().shutdown();
            client.connectionPool().evictAll();
        }
    }

    static String spring(String url, List<File> files) {
        var form = new org.springframework.util.LinkedMultiValueMap<String, Object>();
        FIELDS.forEach(form::add);
        for (File file : files) form.add("files", new org.springframework.core.io.FileSystemResource(file));
        var converter = new org.springframework.http.converter.support.AllEncompassingFormHttpMessageConverter();
        converter.setCharset(StandardCharsets.UTF_8);
        converter.setMultipartCharset(StandardCharsets.UTF_8);
        var client = new org.springframework.web.client.RestTemplate();
        client.getMessageConverters().add(0, converter);
        var headers = new org.springframework.http.HttpHeaders();
        headers.setContentType(org.springframework.http.MediaType.MULTIPART_FORM_DATA);
        var request = new org.springframework.http.HttpEntity<>(form, headers);
        String version = "Spring " + org.springframework.core.SpringVersion.getVersion();
        try {
            return version + "\n" + new String(client.postForObject(url, request, byte[].class), StandardCharsets.UTF_8);
        } catch (org.springframework.web.client.HttpStatusCodeException refused) {
            return version + "\n" + refused.getResponseBodyAsString();
        }
    }

    // Java's own client knows no forms: programs write the body by hand.
    static String byHand(String url, List<File> files) throws Exception {
        var body = new ByteArrayOutputStream();
        for (var field : FIELDS.entrySet())
            part(body, "name=\"" + field.getKey() + "\"", field.getValue().getBytes(StandardCharsets.UTF_8));
        for (File file : files)
            part(body, "name=\"files\"; filename=\"" + file.getName().replace("\"", "%22") + "\"\r\nContent-Type: image/png", Files.readAllBytes(file.toPath()));
        body.write("--cut--\r\n".getBytes(StandardCharsets.UTF_8));
        var request = HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "multipart/form-data; boundary=cut")
            .POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray())).build();
        var answer = java.net.http.HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        return "Java " + System.getProperty("java.version") + "\n" + answer.body();
    }

    static void part(ByteArrayOutputStream body, String about, byte[] payload) throws IOException {
        body.write(("--cut\r\nContent-Disposition: form-data; " + about + "\r\n\r\n").getBytes(StandardCharsets.UTF_8));
        body.write(payload);
        body.write("\r\n".getBytes(StandardCharsets.UTF_8));
    }
}
