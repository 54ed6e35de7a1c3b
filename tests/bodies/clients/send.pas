{ Uploads a picture as Free Pascal programs do: `send TFPHTTPClient URL FILE`. Prints the version, then the answer.
  `FileFormPost` takes one file. }
program send;

{$mode objfpc}{$H+}

uses
  {$ifdef unix} cwstring, {$endif} Classes, SysUtils, fphttpclient;

var
  client: TFPHTTPClient;
  fields: TStringList;
  answer: TStringStream;
begin
  client := TFPHTTPClient.Create(nil);
  fields := TStringList.Create;
  answer := TStringStream.Create('');
  fields.Add('metadata={"order": "Tür 7"}');
  fields.Add('model=');
  fields.Add('no_cache=True');
  try
    WriteLn('Free Pascal ', {$I %FPCVERSION%});
    client.FileFormPost(ParamStr(2), fields, 'files', ParamStr(3), answer);
  except
    on refused: EHTTPClient do ;
  end;
  WriteLn(answer.DataString);
  answer.Free;
  fields.Free;
  client.Free;
end.
