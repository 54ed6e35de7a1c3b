// Uploads pictures as .NET programs do: `Send.exe LIBRARY URL FILE...`. Prints the runtime's version, then the answer.
using System;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Text;

static class Send
{
    static void Main(string[] arguments)
    {
        Console.OutputEncoding = new UTF8Encoding(false);
        var runtime = Type.GetType("Mono.Runtime").GetMethod("GetDisplayName",
            System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Static).Invoke(null, null);
        Console.WriteLine("Mono " + runtime);
        var paths = arguments.Skip(2).ToArray();
        Console.Write(arguments[0] == "HttpClient" ? ByHttpClient(arguments[1], paths) : ByWebClient(arguments[1], paths[0]));
    }

    static string ByHttpClient(string url, string[] paths)
    {
        using (var client = new HttpClient())
        using (var form = new MultipartFormDataContent())
        {
            form.Add(new StringContent("{\"order\": \"Tür 7\"}"), "metadata");
            form.Add(new StringContent(""), "model");
            form.Add(new StringContent(true.ToString()), "no_cache");
            foreach (var path in paths)
                form.Add(new StreamContent(File.OpenRead(path)), "files", Path.GetFileName(path));
            return client.PostAsync(url, form).Result.Content.ReadAsStringAsync().Result;
        }
    }

    // It sends one file in a part `file`, and knows no fields.
    static string ByWebClient(string url, string path)
    {
        try
        {
            return Encoding.UTF8.GetString(new WebClient().UploadFile(url, path));
        }
        catch (WebException refused)
        {
            using (var reader = new StreamReader(refused.Response.GetResponseStream()))
                return reader.ReadToEnd();
        }
    }
}
