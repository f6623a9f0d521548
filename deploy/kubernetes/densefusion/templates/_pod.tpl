{{- define "densefusion.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{ include "densefusion.secretMounts" .root }}
{{- if and .stage.join .root.Values.captions.apiKeySecret.name }}
- {name: caption, mountPath: /run/secrets/caption, readOnly: true}
{{- end }}
{{- if .stage.gpu }}
- {name: engines, mountPath: /var/lib/densefusion/engines}
{{- end }}
{{- if and .stage.expert .root.Values.engines.modelsClaim }}
- {name: models, mountPath: /var/lib/densefusion/models, readOnly: true}
{{- end }}
{{- end -}}

{{/* A GPU is asked for as a limit; Kubernetes takes the request to be the same. */}}
{{- define "densefusion.resources" -}}
{{- $resources := deepCopy .stage.resources -}}
{{- if .stage.gpu -}}
{{- $limits := get $resources "limits" | default dict -}}
{{- $_ := set $limits .root.Values.gpu.resource (int .root.Values.gpu.count) -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
